package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/tools/console"
	"github.com/lakepulse/lakepulse/tools/verify"
)

// exitDiffers is verify's exit code when log and database differ.
const exitDiffers = 2

type verifyCmd struct {
	logAndDatabase `embed:""`

	Since string `help:"Only events since then: a time (RFC 3339), a day, or an age (36h)."`
	IDs   int    `name:"ids" help:"Largest number of differing ids to print per hour, app and kind." default:"20"`
}

func (c *verifyCmd) Run(e *env) error {
	since, err := parseTime(c.Since, time.Now())
	if err != nil {
		return usageError(fmt.Errorf("--since: %w", err))
	}
	if c.IDs < 0 {
		return usageError(errors.New("--ids: must be at least 0"))
	}
	return c.open(e, func(js jetstream.JetStream, pool *pgxpool.Pool) error {
		meter := console.NewMeter(e.errs, "verify", time.Now)
		report, err := verify.Run(e.ctx, verify.Options{
			Log: js, Pool: pool, Since: since, ShowIDs: c.IDs, Clock: time.Now, Progress: meter.Update,
		})
		meter.Finish()
		if err != nil {
			return err
		}
		if err := report.WriteTable(e.out); err != nil {
			return err
		}
		if !report.Equal() {
			return exitError{code: exitDiffers, err: errors.New("log and database differ")}
		}
		return nil
	})
}
