package aggregate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/retry"
)

// Params are what a runner is made of.
type Params struct {
	Config   Config
	Pool     *pgxpool.Pool
	Now      func() time.Time
	Log      *slog.Logger
	Registry prometheus.Registerer // nil: no metrics are offered
}

// Runner does aggregation runs.
type Runner struct {
	cfg     Config
	store   *store
	now     func() time.Time
	log     *slog.Logger
	metrics *metrics
	watch   watcher
	clashes int // after so many a transaction is given up
}

// New returns a runner. It does nothing by itself: see [Runner.Once] and [Service].
func New(p Params) (*Runner, error) {
	if err := p.Config.Validate(); err != nil {
		return nil, err
	}
	if p.Config.Instance == "" {
		host, err := os.Hostname()
		p.Config.Instance = cmp.Or(host, "unknown host")
		if err != nil {
			p.Log.Warn("aggregate: the host has no name", "error", err)
		}
	}
	r := &Runner{cfg: p.Config, store: &store{pool: p.Pool, limits: limits{rows: maxRowsAtOnce, keys: maxKeysAtOnce, fetch: fetchRows}}, now: p.Now, log: p.Log, metrics: newMetrics(p.Registry), clashes: maxClashes}
	return r, nil
}

// Request asks for a run.
type Request struct {
	Kind          Kind // empty: Retention
	Trigger       Trigger
	RequestedBy   string
	CorrelationID string    // empty: the run's id
	Progress      func(Run) // called from one goroutine at a time, after each step; may be nil
	// Unattended makes a run that finds another at work give up with ErrBusy
	// instead of waiting for it.
	Unattended bool
}

var (
	// ErrUnreachable says that the database could not be asked, or was lost.
	ErrUnreachable = errors.New("the database is unreachable")
	// ErrBusy says that another run is at work.
	ErrBusy = errors.New("another run is at work")
)

// ExitCode is the exit code of a run in the foreground: 0 done, 1 database
// unreachable, 2 aggregation failed, wholly or for some hours.
func ExitCode(run Run, err error) int {
	switch {
	case errors.Is(err, ErrUnreachable):
		return 1
	case err != nil || run.Status != Done:
		return 2
	}
	return 0
}

// Once does one run in the foreground. The error says why it could not be done
// at all, or not to its end; what failed within it is in the Run, which is
// returned in either case.
func (r *Runner) Once(ctx context.Context, req Request) (Run, error) {
	run := Run{
		ID: uuid.New(), Kind: cmp.Or(req.Kind, Retention), Trigger: req.Trigger, TriggeredBy: req.RequestedBy,
		CorrelationID: req.CorrelationID, Status: Waiting, RequestedAt: r.now().UTC(),
	}
	run.CorrelationID = cmp.Or(run.CorrelationID, run.ID.String())
	return r.execute(ctx, run, req)
}

// execute takes the lease, does the run and writes its receipt.
func (r *Runner) execute(ctx context.Context, run Run, req Request) (Run, error) {
	if err := r.lease(ctx, run.ID, req.Unattended); err != nil {
		return run, err
	}
	stopRenewing := r.renew(ctx, run.ID)
	defer stopRenewing()
	started := r.now().UTC()
	run.StartedAt, run.Status, run.Instance = &started, Running, r.cfg.Instance
	w := &work{Runner: r, run: &run, progress: req.Progress, saved: time.Now()}
	err := w.do(ctx)
	// The receipt is written also when ctx has ended: that is worth a receipt.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	w.finish(end, err)
	return run, err
}

const (
	leasePoll = 250 * time.Millisecond
	// patience is how long a database that is waking up is waited for.
	patience = 15 * time.Second
)

// lease waits for the lease; unattended it does not.
func (r *Runner) lease(ctx context.Context, id uuid.UUID, unattended bool) error {
	start := time.Now()
	for {
		taken, err := metricsdb.TakeLease(ctx, r.store.pool, id, r.cfg.Instance, r.cfg.Lease)
		switch {
		case err == nil && taken:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && (unattended || time.Since(start) > patience || !unreachableDatabase(err)):
			return unreachable(err)
		case err == nil && unattended:
			return ErrBusy
		}
		if err := retry.Sleep(ctx, leasePoll); err != nil {
			return err
		}
	}
}

// renew keeps the lease until the returned function gives it back.
func (r *Runner) renew(ctx context.Context, id uuid.UUID) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(r.cfg.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			// Losing it is no harm: two runs at once count right, they only work twice.
			if held, err := metricsdb.RenewLease(ctx, r.store.pool, id, r.cfg.Lease); err != nil || !held {
				r.log.Debug("aggregate: lease not renewed", "run", id, "error", err)
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
		end, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer done()
		if err := metricsdb.DropLease(end, r.store.pool, id); err != nil {
			r.log.Debug("aggregate: lease not given back, it will expire", "run", id, "error", err)
		}
	}
}

func unreachable(err error) error {
	if unreachableDatabase(err) {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}
