package cli

import (
	"context"
	"fmt"
	"io"
	"os/user"
	"time"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/settings"
	"github.com/lakepulse/lakepulse/services"
	"github.com/lakepulse/lakepulse/services/aggregate"
)

// reachPatience is how long a run in the foreground waits for a database that
// may have to wake up.
const reachPatience = 30 * time.Second

// aggregateOnce does one run in the foreground, its progress on stderr. The exit
// codes are the contract of whoever schedules it: 0 done, 1 database
// unreachable, 2 aggregation failed.
func aggregateOnce(e *env, f *serveFlags) error {
	cfg, err := f.config(e, services.Aggregate, "dev") // nothing is served: no caller to recognise
	if err != nil {
		return err
	}
	tools := databaseFlags{dataFlag: dataFlag{DataDir: f.DataDir}, DatabaseURL: f.Database, MaxConns: f.MaxConns}
	if cfg.Database, err = tools.config(e); err != nil {
		return exitError{1, err}
	}
	pool, err := postgres.Open(e.ctx, cfg.Database)
	if err != nil {
		return exitError{1, err}
	}
	defer pool.Close()
	reach, cancel := context.WithTimeout(e.ctx, reachPatience)
	defer cancel()
	if err := pool.Ping(reach); err != nil {
		return exitError{1, fmt.Errorf("the database is unreachable; check DATABASE_URL (or PGHOST) and that it accepts connections: %w", err)}
	}
	if f.Migrate {
		if err := postgres.Migrate(e.ctx, cfg.Database); err != nil {
			return exitError{2, fmt.Errorf("the schema could not be brought up to date: %w", err)}
		}
	}
	recorded, err := metricsdb.RecordSettings(e.ctx, pool, settings.Values{RawRetention: cfg.Aggregate.RawRetention, AggregateRetention: cfg.Aggregate.AggregateRetention}, "aggregate --once")
	if err == nil {
		err = settings.Conflict(cfg.Told, recorded)
	}
	if err != nil {
		return exitError{2, err}
	}
	runner, err := aggregate.New(aggregate.Params{Config: cfg.Aggregate, Pool: pool, Now: time.Now, Log: e.log})
	if err != nil {
		return exitError{2, err}
	}
	run, err := runner.Once(e.ctx, aggregate.Request{
		Trigger: aggregate.TriggerCommand, RequestedBy: whoAmI(), Progress: showRun(e.errs),
	})
	code := aggregate.ExitCode(run, err)
	if code == 0 {
		_, err = fmt.Fprintf(e.out, "done: %d hours, %d rows aggregated, %d raw rows deleted (run %s)\n", run.HoursDone, run.RowsAggregated, run.RowsDeleted, run.ID)
		return err
	}
	for _, failure := range run.Failures {
		e.log.Error("aggregate: not done", "what", failure.String(), "correlation_id", run.CorrelationID)
	}
	if err == nil {
		err = fmt.Errorf("%d of %d hours failed; the others are done", run.HoursFailed, run.HoursTotal)
	}
	return exitError{code, fmt.Errorf("%w (correlation id %s; see the receipt in metrics.aggregation_runs)", err, run.CorrelationID)}
}

// showRun prints a line now and then while a run goes on.
func showRun(w io.Writer) func(aggregate.Run) {
	var last time.Time
	return func(r aggregate.Run) {
		if time.Since(last) < time.Second {
			return
		}
		last = time.Now()
		// Progress is for whoever looks: a closed stderr must not end the run.
		_, _ = fmt.Fprintf(w, "%s: %d of %d hours, %d rows read, %d deleted\n", r.Status, r.HoursDone, r.HoursTotal, r.RowsRead, r.RowsDeleted)
	}
}

func whoAmI() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return u.Username
}
