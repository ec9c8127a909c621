package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/tools/console"
	"github.com/lakepulse/lakepulse/tools/rebuild"
)

type rebuildCmd struct {
	logAndDatabase `embed:""`

	Truncate bool `help:"Empty the raw tables first. Rows older than the log are lost."`
	Yes      bool `help:"Do not ask before --truncate."`
}

func (c *rebuildCmd) Run(e *env) error {
	return c.open(e, func(js jetstream.JetStream, pool *pgxpool.Pool) error {
		plan, err := rebuild.ReadPlan(e.ctx, js, pool)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(e.out, "The log reaches back to %s: %d messages. The raw tables hold %d rows, %d of them older than the log.\n",
			plan.Reach.UTC().Format(time.RFC3339), plan.Messages, plan.Rows, plan.Lost); err != nil {
			return err
		}
		if c.Truncate {
			if err := c.confirm(e, plan); err != nil {
				return err
			}
			if err := rebuild.Truncate(e.ctx, pool); err != nil {
				return err
			}
		}
		meter := console.NewMeter(e.errs, "rebuild", time.Now)
		report, err := rebuild.Run(e.ctx, js, pool, time.Now, meter.Update)
		meter.Finish()
		return errors.Join(err, writeReport(e.out, report))
	})
}

// confirm asks on standard input before rows are deleted for good.
func (c *rebuildCmd) confirm(e *env, plan rebuild.Plan) error {
	if c.Yes {
		return nil
	}
	if _, err := fmt.Fprintf(e.errs, "This deletes %d rows; %d of them cannot be rebuilt. Type yes to continue: ", plan.Rows, plan.Lost); err != nil {
		return err
	}
	answer, err := bufio.NewReader(e.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("nothing was changed: read the answer: %w", err)
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing was changed; --yes answers the question beforehand")
	}
	return nil
}
