package cli

import (
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/tools/replay"
)

// selectFlags restrict a tool to some of the events.
type selectFlags struct {
	App  string `help:"Only events of this app."`
	Kind string `help:"Only events of this kind: performance or usage." enum:"performance,usage," default:""`
}

func (c *selectFlags) kinds() []event.Kind {
	if c.Kind == "" {
		return nil
	}
	return []event.Kind{event.Kind(c.Kind)}
}

type tailCmd struct {
	natsFlags   `embed:""`
	selectFlags `embed:""`

	JSON bool `name:"json" help:"Print one JSON object per line, as replay --file reads it."`
}

func (c *tailCmd) Run(e *env) error {
	nc, js, err := c.connect(e)
	if err != nil {
		return err
	}
	defer nc.Close()
	ready := func() { e.logger.Info("tail: printing the events published from now on") }
	return replay.Tail(e.ctx, replay.TailOptions{Log: js, App: c.App, Kinds: c.kinds(), JSON: c.JSON, Out: e.out, Ready: ready})
}
