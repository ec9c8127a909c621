package cli

import (
	"context"
	"fmt"
	"io"
	"os/user"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/settings"
	"github.com/lakepulse/lakepulse/services"
	"github.com/lakepulse/lakepulse/services/aggregate"
)

// Exit codes of `aggregate --once`: the contract with whoever schedules it.
const (
	exitUnreachable       = 1
	exitAggregationFailed = 2
)

// wakeTimeout bounds the first connection. A suspended Lakebase compute needs several
// seconds to wake up.
const wakeTimeout = 30 * time.Second

// runOnce does one run in the foreground with its progress on standard error.
func (c *aggregateCmd) runOnce(e *env) error {
	cfg, err := configure(e, services.Aggregate, &c.retentionFlags, &c.governanceFlags)
	if err != nil {
		return err
	}
	if err := cfg.Aggregate.Validate(); err != nil {
		return usageError(err)
	}
	database := databaseFlags{dataFlag: c.dataFlag, DatabaseURL: c.DatabaseURL, MaxConns: c.MaxConns}
	if cfg.Database, err = database.config(e); err != nil {
		return err
	}
	pool, err := c.openReachable(e, cfg.Database)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := recordSettings(e, pool, cfg); err != nil {
		return exitError{exitAggregationFailed, err}
	}
	runner, err := aggregate.New(aggregate.Params{Config: cfg.Aggregate, Pool: pool, Now: time.Now, Log: e.logger})
	if err != nil {
		return exitError{exitAggregationFailed, err}
	}
	run, err := runner.Once(e.ctx, aggregate.Request{
		Trigger: aggregate.TriggerCommand, RequestedBy: userName(), Progress: showRun(e.errs),
	})
	return writeRun(e, run, err)
}

// openReachable opens a pool, waits for the database and migrates its schema.
func (c *aggregateCmd) openReachable(e *env, cfg postgres.Config) (*pgxpool.Pool, error) {
	pool, err := postgres.Open(e.ctx, cfg)
	if err != nil {
		return nil, exitError{exitUnreachable, err}
	}
	reach, cancel := context.WithTimeout(e.ctx, wakeTimeout)
	defer cancel()
	if err := pool.Ping(reach); err != nil {
		pool.Close()
		return nil, exitError{exitUnreachable, fmt.Errorf("the database is unreachable; check DATABASE_URL (or PGHOST) and that it accepts connections: %w", err)}
	}
	if c.Migrate {
		if err := postgres.Migrate(e.ctx, cfg); err != nil {
			pool.Close()
			return nil, exitError{exitAggregationFailed, fmt.Errorf("migrate the schema: %w", err)}
		}
	}
	return pool, nil
}

// recordSettings records the retention of a first run, and refuses one that
// differs from what the installation has recorded.
func recordSettings(e *env, pool *pgxpool.Pool, cfg services.Config) error {
	told := settings.Values{RawRetention: cfg.Aggregate.RawRetention, AggregateRetention: cfg.Aggregate.AggregateRetention}
	recorded, err := metricsdb.RecordSettings(e.ctx, pool, told, "aggregate --once")
	if err != nil {
		return err
	}
	return settings.Conflict(cfg.Told, recorded)
}

// writeRun writes the result of a run and returns the error with its exit code.
func writeRun(e *env, run aggregate.Run, err error) error {
	code := aggregate.ExitCode(run, err)
	if code == exitDone {
		_, err = fmt.Fprintf(e.out, "done: %d hours, %d rows aggregated, %d raw rows deleted (run %s)\n", run.HoursDone, run.RowsAggregated, run.RowsDeleted, run.ID)
		return err
	}
	for _, failure := range run.Failures {
		e.logger.Error("aggregate: part of the run failed", "failure", failure.String(), "correlation_id", run.CorrelationID)
	}
	if err == nil {
		err = fmt.Errorf("%d of %d hours failed; the others are done", run.HoursFailed, run.HoursTotal)
	}
	return exitError{code, fmt.Errorf("%w (correlation id %s; see the receipt in metrics.aggregation_runs)", err, run.CorrelationID)}
}

// showRun returns a function that writes the state of a run, at most once a second.
func showRun(w io.Writer) func(aggregate.Run) {
	var last time.Time
	return func(r aggregate.Run) {
		if time.Since(last) < time.Second {
			return
		}
		last = time.Now()
		// A closed standard error must not end the run.
		_, _ = fmt.Fprintf(w, "%s: %d of %d hours, %d rows read, %d deleted\n", r.Status, r.HoursDone, r.HoursTotal, r.RowsRead, r.RowsDeleted)
	}
}

// userName names the user of the process in the receipt of the run.
func userName() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return u.Username
}
