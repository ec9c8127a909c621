package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/services/aggregate"
	"github.com/lakepulse/lakepulse/tools/demo"
)

// demoCmd fills an installation with generated history. It inserts raw rows and
// aggregates them with the aggregator of production.
type demoCmd struct {
	databaseFlags `embed:""`

	Days           int    `help:"Number of days up to now." default:"90"`
	RequestsPerDay int    `help:"Requests per working day." default:"20000"`
	Seed           uint64 `help:"Seed of the generator; the same seed makes the same data." default:"1"`

	retentionFlags `embed:""`
}

func (c *demoCmd) Run(e *env) error {
	cfg, err := c.config(e)
	if err != nil {
		return err
	}
	if err := postgres.Migrate(e.ctx, cfg); err != nil {
		return err
	}
	pool, err := postgres.Open(e.ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	rules := aggregate.DefaultConfig()
	rules.RawRetention, rules.AggregateRetention = cmp.Or(c.RawRetention, rules.RawRetention), cmp.Or(c.AggregateRetention, rules.AggregateRetention)
	options := demo.DefaultOptions(time.Now())
	options.Days, options.RequestsPerDay, options.Seed = c.Days, c.RequestsPerDay, c.Seed
	quiet := slog.New(slog.DiscardHandler) // ninety runs would log thousands of lines; failures are returned
	options.Aggregate = func(ctx context.Context, at time.Time) error {
		runner, err := aggregate.New(aggregate.Params{Config: rules, Pool: pool, Now: func() time.Time { return at }, Log: quiet})
		if err != nil {
			return err
		}
		run, err := runner.Once(ctx, aggregate.Request{Trigger: aggregate.TriggerCommand, RequestedBy: "demo"})
		if err == nil && run.Status != aggregate.Done {
			err = fmt.Errorf("the run is %s: %v", run.Status, run.Failures)
		}
		return err
	}
	// A standalone that has just started may do a missed daily run, which would move the
	// purge line past the days that are about to be inserted. A run of our own waits for
	// that one, or takes its place.
	if err := options.Aggregate(e.ctx, time.Now()); err != nil {
		return err
	}
	options.Progress = func(p demo.Progress) {
		// A closed standard error must not end the work.
		_, _ = fmt.Fprintf(e.errs, "\rday %d of %d: %d requests, %d events ", p.Done, p.Days, p.Requests, p.Events)
	}
	done, err := demo.Run(e.ctx, pool, options)
	_, outErr := fmt.Fprintf(e.out, "\n%d days, %d requests, %d events\n", done.Done, done.Requests, done.Events)
	return errors.Join(err, outErr)
}
