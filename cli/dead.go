package cli

import (
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/tools/deadletter"
)

type deadCmd struct {
	natsFlags `embed:""`

	List    deadListCmd    `cmd:"" help:"List the dead letters."`
	Show    deadShowCmd    `cmd:"" help:"Show a dead letter with its events, as JSON."`
	Requeue deadRequeueCmd `cmd:"" help:"Publish dead letters to the log again. Doing it twice changes nothing."`
	Drop    deadDropCmd    `cmd:"" help:"Delete dead letters for good."`
}

type deadListCmd struct {
	JSON bool `name:"json" help:"Print JSON with the events."`
}

func (d deadListCmd) Run(e *env, c *commands) error {
	return c.Dead.with(e, func(js jetstream.JetStream) error {
		if !d.JSON {
			return deadletter.WriteTable(e.ctx, js, e.out)
		}
		return deadletter.Each(e.ctx, js, deadletter.Selection{All: true}, func(d *stream.DeadLetter) error { return deadletter.WriteJSON(e.out, d) })
	})
}

type deadShowCmd struct {
	Letter uint64 `arg:"" help:"Number of the dead letter, as list shows it."`
}

func (d deadShowCmd) Run(e *env, c *commands) error {
	return c.Dead.with(e, func(js jetstream.JetStream) error {
		return deadletter.Each(e.ctx, js, deadletter.Selection{Sequences: []uint64{d.Letter}}, func(d *stream.DeadLetter) error { return deadletter.WriteJSON(e.out, d) })
	})
}

// lettersFlags select dead letters.
type lettersFlags struct {
	Letters []uint64 `arg:"" optional:"" help:"Numbers of the dead letters, as list shows them."`
	All     bool     `help:"All that exist now."`
	DryRun  bool     `help:"Only print what would be done."`
}

func (l *lettersFlags) each(e *env, c *commands, do func(deadletter.Editor, *stream.DeadLetter) error) error {
	if l.All == (len(l.Letters) > 0) {
		return usageError(errors.New("give the numbers of dead letters, or --all"))
	}
	return c.Dead.with(e, func(js jetstream.JetStream) error {
		act := deadletter.Editor{JS: js, DryRun: l.DryRun, Out: e.out}
		return deadletter.Each(e.ctx, js, deadletter.Selection{Sequences: l.Letters, All: l.All}, func(d *stream.DeadLetter) error { return do(act, d) })
	})
}

type deadRequeueCmd struct {
	lettersFlags `embed:""`
}

func (d *deadRequeueCmd) Run(e *env, c *commands) error {
	return d.each(e, c, func(act deadletter.Editor, l *stream.DeadLetter) error { return act.Requeue(e.ctx, l) })
}

type deadDropCmd struct {
	lettersFlags `embed:""`
}

func (d *deadDropCmd) Run(e *env, c *commands) error {
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
