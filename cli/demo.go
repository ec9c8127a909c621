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

// demoCmd fills an installation with a believable past, through the tables and
// the aggregator everything else goes through.
type demoCmd struct {
	databaseFlags `embed:""`

	Days           int    `help:"How many days, up to now." default:"90"`
	RequestsPerDay int    `help:"Requests of a working day." default:"20000"`
	Seed           uint64 `help:"The same seed makes the same data." default:"1"`

	RawRetention       time.Duration `help:"How long raw rows live, as recorded unless given." env:"LAKEPULSE_RAW_RETENTION"`
	AggregateRetention time.Duration `help:"How long hourly aggregates live, as recorded unless given." env:"LAKEPULSE_AGGREGATE_RETENTION"`
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
	quiet := slog.New(slog.DiscardHandler) // ninety runs' worth of lines; what fails is returned
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
	// A standalone that has just started does the daily run it may have missed, and
	// would draw the purge line over a past that is only being made. One run now
	// waits for that one, or stands in for it.
	if err := options.Aggregate(e.ctx, time.Now()); err != nil {
		return err
	}
	options.Progress = func(p demo.Progress) {
		// Progress is for whoever looks: a closed stderr must not end the work.
		_, _ = fmt.Fprintf(e.errs, "\rday %d of %d: %d requests, %d events ", p.Done, p.Days, p.Requests, p.Events)
	}
	done, err := demo.Run(e.ctx, pool, options)
	_, outErr := fmt.Fprintf(e.out, "\n%d days, %d requests, %d events\n", done.Done, done.Requests, done.Events)
	return errors.Join(err, outErr)
}
