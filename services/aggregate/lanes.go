package aggregate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/services/aggregate/tally"
)

// queue is jobs of one kind, in the order of time, that a lane does.
type queue struct {
	mu   sync.Mutex
	jobs []hoursJob
	size *jobSize
}

// jobSize is how many hours of a kind a job may have: fewer after one was too
// large.
type jobSize struct{ most atomic.Int64 }

func (s *jobSize) tooLarge(hours int) { s.most.Store(max(1, min(s.most.Load(), int64(hours)/2))) }

// newQueues makes a queue for each kind. Hours that follow each other are one
// job, up to a day of them: it is then summed up without being read again.
func newQueues(todo []hour, forced map[hour]bool, runID uuid.UUID) []*queue {
	queues := make([]*queue, 0, len(event.Kinds()))
	for _, kind := range event.Kinds() {
		q := &queue{size: &jobSize{}}
		q.size.most.Store(hoursOfDay)
		var last hour
		for _, h := range todo {
			if h.Kind != kind {
				continue
			}
			n, newDay := len(q.jobs), h.Start.Equal(h.Start.Truncate(24*time.Hour))
			if n > 0 && !newDay && last.End().Equal(h.Start) && forced[last] == forced[h] {
				q.jobs[n-1].starts = append(q.jobs[n-1].starts, h.Start)
			} else {
				q.jobs = append(q.jobs, hoursJob{kind: kind, starts: []time.Time{h.Start}, runID: runID, forced: forced[h]})
			}
			last = h
		}
		queues = append(queues, q)
	}
	return queues
}

// take takes the oldest job.
func (q *queue) take() (job hoursJob, found bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) == 0 {
		return job, false
	}
	job, q.jobs = q.jobs[0], q.jobs[1:]
	return job, true
}

// half splits off the later half of the jobs, for a lane that has nothing left
// to do. It works on distant hours then: neighbours meet on the pages of the same
// indexes.
func (q *queue) half() (later *queue, found bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) == 0 {
		return nil, false
	}
	mid := len(q.jobs) / 2
	later = &queue{jobs: q.jobs[mid:], size: q.size}
	q.jobs = q.jobs[:mid:mid]
	return later, true
}

// aggregateAll empties the queues by a lane for each. One that is done goes on
// with half of what another has left.
func (w *work) aggregateAll(ctx context.Context, queues []*queue) error {
	var wg sync.WaitGroup
	var mu sync.Mutex // guards queues
	next := func(lane int) *queue {
		mu.Lock()
		defer mu.Unlock()
		for _, other := range queues {
			if later, found := other.half(); found {
				queues[lane] = later
				return later
			}
		}
		return nil
	}
	errs := make([]error, len(queues))
	for i, own := range slices.Clone(queues) {
		wg.Go(func() {
			caches := newCaches()
			for own != nil && errs[i] == nil {
				errs[i] = w.lane(ctx, own, caches)
				own = next(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// lane does the jobs of a queue.
func (w *work) lane(ctx context.Context, q *queue, caches *caches) error {
	for {
		job, found := q.take()
		if !found {
			return nil
		}
		job.caches = caches
		if err := w.attempt(ctx, q.size, job); err != nil {
			return err
		}
	}
}

// attempt does a job, or the parts of one that fails: the halves of one that is
// too large, and otherwise its hours one by one, so that a bad one fails alone.
func (w *work) attempt(ctx context.Context, size *jobSize, job hoursJob) error {
	part := int(size.most.Load())
	if len(job.starts) <= part {
		err := w.aggregate(ctx, job)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case unreachableDatabase(err):
			return err
		case len(job.starts) == 1:
			w.failed(ctx, hour{Kind: job.kind, Start: job.starts[0]}, err)
			return nil
		case errors.Is(err, tally.ErrTooLarge):
			size.tooLarge(len(job.starts))
			part = int(size.most.Load())
		default:
			part = 1
		}
	}
	for starts := job.starts; len(starts) > 0; starts = starts[min(part, len(starts)):] {
		job.starts = starts[:min(part, len(starts))]
		if err := w.attempt(ctx, size, job); err != nil {
			return err
		}
	}
	return nil
}

// aggregate does a job, again and again while it clashes with writers.
func (w *work) aggregate(ctx context.Context, job hoursJob) error {
	// Writers that are busy with this very hour, catching up after an outage,
	// could clash for ever: the later attempts keep them out for the moment.
	const gateFrom = 4
	clashes := w.clashes
	if len(job.starts) > 1 {
		clashes = 3 // its hours have their chance one by one
	}
	var res hoursResult
	err := w.retry(ctx, clashes, w.turn, func(tx pgx.Tx, attempt int) (err error) {
		if attempt >= gateFrom {
			if err := metricsdb.CloseGate(ctx, tx, w.cfg.LockTimeout); err != nil {
				return err
			}
		}
		res, err = w.store.aggregate(ctx, tx, job)
		return err
	})
	if err != nil {
		return err
	}
	res.committed()
	w.metrics.hours.WithLabelValues("done").Add(float64(len(job.starts)))
	w.note(ctx, func(r *Run) {
		r.HoursDone += int64(len(job.starts))
		r.RowsRead += res.rows
		r.RowsAggregated += res.rows
	})
	return nil
}

// turn waits until a lane may begin a transaction; done says that it has ended.
// After a clash the lane has the run to itself. Lanes share no rows, but the
// pages of small tables and indexes, where Postgres cannot tell: a long
// transaction beside many short ones would lose against each of them, until its
// hour counts as failed.
func (w *work) turn(attempt int) (done func()) {
	if attempt == 0 {
		w.turns.RLock()
		return w.turns.RUnlock
	}
	w.turns.Lock()
	return w.turns.Unlock
}

// anyTime is the turn of those who work alone.
func anyTime(int) (done func()) { return func() {} }

const maxClashes = 10

// retry runs f in SERIALIZABLE transactions until one commits: after clashes
// again, with growing pauses, after a lost connection three times. Each begins
// in its turn.
func (w *work) retry(ctx context.Context, clashes int, turn func(attempt int) func(), f func(tx pgx.Tx, attempt int) error) error {
	const losses = 3
	clashed, lost := 0, 0
	for {
		done := turn(clashed)
		err := pgx.BeginTxFunc(ctx, w.store.pool, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(tx pgx.Tx) error {
			return f(tx, clashed)
		})
		done()
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case postgres.Classify(err) == postgres.Conflict:
			w.metrics.clashes.Inc()
			if clashed++; clashed >= clashes {
				return fmt.Errorf("gave up after %d clashes with writers or other runs: %w", clashes, err)
			}
		case unreachableDatabase(err):
			if lost++; lost >= losses {
				return err
			}
		default:
			return err
		}
		if err := postgres.ConflictBackoff.Wait(ctx, clashed+3*lost); err != nil {
			return err
		}
	}
}
