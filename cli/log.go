package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/tools/console"
	"github.com/lakepulse/lakepulse/tools/deadletter"
	"github.com/lakepulse/lakepulse/tools/rebuild"
	"github.com/lakepulse/lakepulse/tools/replay"
	"github.com/lakepulse/lakepulse/tools/verify"
)

// The tools that live off the log.

// chooseFlags say which events.
type chooseFlags struct {
	App  string `help:"Only of this app."`
	Kind string `help:"Only performance or usage." enum:"performance,usage," default:""`
}

func (c *chooseFlags) kinds() []event.Kind {
	if c.Kind == "" {
		return nil
	}
	return []event.Kind{event.Kind(c.Kind)}
}

type tailCmd struct {
	natsFlags   `embed:""`
	chooseFlags `embed:""`

	JSON bool `name:"json" help:"One JSON object a line, as replay --file reads it."`
}

func (c *tailCmd) Run(e *env) error {
	nc, js, err := c.connect(e)
	if err != nil {
		return err
	}
	defer nc.Close()
	ready := func() { e.log.Info("tail: showing what comes from now on") }
	return replay.Tail(e.ctx, replay.TailOptions{Log: js, App: c.App, Kinds: c.kinds(), JSON: c.JSON, Out: e.out, Ready: ready})
}

// storedFlags are for tools that look at log and database.
type storedFlags struct {
	natsFlags `embed:""`

	DatabaseURL string `name:"database" help:"Postgres; without it the PG* variables." env:"DATABASE_URL" placeholder:"URL"`
}

// with opens both and runs a tool on them.
func (f *storedFlags) with(e *env, do func(jetstream.JetStream, *pgxpool.Pool) error) error {
	nc, js, err := f.connect(e)
	if err != nil {
		return err
	}
	defer nc.Close()
	tools := databaseFlags{dataFlag: f.dataFlag, DatabaseURL: f.DatabaseURL, MaxConns: 4}
	cfg, err := tools.config(e)
	if err != nil {
		return err
	}
	pool, err := postgres.Open(e.ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	return do(js, pool)
}

type verifyCmd struct {
	storedFlags `embed:""`

	Since string `help:"Only events since then: a time (RFC 3339), a day, or how long ago (36h)."`
	IDs   int    `name:"ids" help:"How many differing ids to name, in each hour, app and kind." default:"20"`
}

func (c *verifyCmd) Run(e *env) error {
	since, err := when(c.Since, time.Now())
	if err != nil {
		return fmt.Errorf("--since: %w", err)
	}
	return c.with(e, func(js jetstream.JetStream, pool *pgxpool.Pool) error {
		m := console.NewMeter(e.errs, "verify", time.Now)
		report, err := verify.Run(e.ctx, verify.Options{
			Log: js, Pool: pool, Since: since, ShowIDs: c.IDs, Clock: time.Now, Progress: m.Update,
		})
		m.Finish()
		if err != nil {
			return err
		}
		if err := report.WriteTable(e.out); err != nil {
			return err
		}
		if !report.Equal() {
			return exitError{code: 2, err: errors.New("log and database differ")}
		}
		return nil
	})
}

type rebuildCmd struct {
	storedFlags `embed:""`

	Truncate bool `help:"Empty the raw tables first. What is older than the log is lost."`
	Yes      bool `help:"Do not ask before that."`
}

func (c *rebuildCmd) Run(e *env) error {
	return c.with(e, func(js jetstream.JetStream, pool *pgxpool.Pool) error {
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
		m := console.NewMeter(e.errs, "rebuild", time.Now)
		report, err := rebuild.Run(e.ctx, js, pool, time.Now, m.Update)
		m.Finish()
		if werr := showReport(e.out, report); err == nil {
			err = werr
		}
		return err
	})
}

func (c *rebuildCmd) confirm(e *env, plan rebuild.Plan) error {
	if c.Yes {
		return nil
	}
	if _, err := fmt.Fprintf(e.errs, "This deletes %d rows; %d of them cannot be rebuilt. Type yes to go on: ", plan.Rows, plan.Lost); err != nil {
		return err
	}
	answer, err := bufio.NewReader(e.in()).ReadString('\n')
	if strings.TrimSpace(answer) != "yes" {
		return errors.Join(errors.New("nothing was changed; --yes answers the question beforehand"), ignoreEOF(err))
	}
	return nil
}

// The dead letters.

type deadCmd struct {
	natsFlags `embed:""`

	List    deadListCmd    `cmd:"" help:"List the dead letters."`
	Show    deadShowCmd    `cmd:"" help:"Show one, with what is in it."`
	Requeue deadRequeueCmd `cmd:"" help:"Put letters back onto the log. Doing it twice changes nothing."`
	Drop    deadDropCmd    `cmd:"" help:"Remove letters for good."`
}

type deadListCmd struct {
	JSON bool `name:"json" help:"As JSON, with what is in them."`
}

func (d deadListCmd) Run(e *env, c *cli) error {
	return c.Dead.with(e, func(js jetstream.JetStream) error {
		if !d.JSON {
			return deadletter.WriteTable(e.ctx, js, e.out)
		}
		return deadletter.Each(e.ctx, js, deadletter.Selection{All: true}, func(d *stream.DeadLetter) error { return deadletter.WriteJSON(e.out, d) })
	})
}

type deadShowCmd struct {
	Letter uint64 `arg:"" help:"Its number, as list shows it."`
}

func (d deadShowCmd) Run(e *env, c *cli) error {
	return c.Dead.with(e, func(js jetstream.JetStream) error {
		return deadletter.Each(e.ctx, js, deadletter.Selection{Sequences: []uint64{d.Letter}}, func(d *stream.DeadLetter) error { return deadletter.WriteJSON(e.out, d) })
	})
}

// lettersFlags say which dead letters.
type lettersFlags struct {
	Letters []uint64 `arg:"" optional:"" help:"Their numbers, as list shows them."`
	All     bool     `help:"All there are now."`
	DryRun  bool     `help:"Only say what would be done."`
}

func (l *lettersFlags) each(e *env, c *cli, do func(deadletter.Editor, *stream.DeadLetter) error) error {
	if l.All == (len(l.Letters) > 0) {
		return errors.New("name the letters, or say --all")
	}
	return c.Dead.with(e, func(js jetstream.JetStream) error {
		act := deadletter.Editor{JS: js, DryRun: l.DryRun, Out: e.out}
		return deadletter.Each(e.ctx, js, deadletter.Selection{Sequences: l.Letters, All: l.All}, func(d *stream.DeadLetter) error { return do(act, d) })
	})
}

type deadRequeueCmd struct {
	lettersFlags `embed:""`
}

func (d *deadRequeueCmd) Run(e *env, c *cli) error {
	return d.each(e, c, func(act deadletter.Editor, l *stream.DeadLetter) error { return act.Requeue(e.ctx, l) })
}

type deadDropCmd struct {
	lettersFlags `embed:""`
}

func (d *deadDropCmd) Run(e *env, c *cli) error {
	return d.each(e, c, func(act deadletter.Editor, l *stream.DeadLetter) error { return act.Drop(e.ctx, l) })
}

func (c *deadCmd) with(e *env, do func(jetstream.JetStream) error) error {
	nc, js, err := c.connect(e)
	if err != nil {
		return err
	}
	defer nc.Close()
	return do(js)
}

// in is where answers come from.
func (e *env) in() io.Reader { return os.Stdin }

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
