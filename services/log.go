package services

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/fx"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/ops"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

const (
	// probeTimeout bounds one question to the log.
	probeTimeout = 2 * time.Second
	// probeLasts is how long its answer counts.
	probeLasts = time.Second
	// shapeTimeout bounds one attempt to make the streams.
	shapeTimeout = 5 * time.Second
	// watchEvery is how often the process looks whether the log is still there.
	watchEvery = 5 * time.Second
)

type logIn struct {
	fx.In

	Lifecycle fx.Lifecycle
	Config    Config
	Log       *slog.Logger
	Down      fx.Shutdowner
	Embedded  embeddedLog `optional:"true"`
}

// connectLog opens the link to the event log. It fails for a configuration that
// cannot be used, never for a server that is away.
func connectLog(in logIn) (*stream.Link, *nats.Conn, jetstream.JetStream, error) {
	link, err := in.Embedded.open(in.Config, in.Log)
	if err != nil {
		return nil, nil, nil, err
	}
	nc := link.Conn()
	js, err := link.JetStream(in.Config.NATS.Domain)
	if err != nil {
		nc.Close()
		return nil, nil, nil, err
	}
	link.OnClosed(fatal(in.Log, in.Down))
	in.Lifecycle.Append(fx.StopHook(func() {
		nc.SetClosedHandler(nil) // this end is meant
		nc.Close()
	}))
	return link, nc, js, nil
}

func newPublisher(cfg Config, nc *nats.Conn, js jetstream.JetStream) (*stream.Publisher, error) {
	if cfg.Confirm == ConfirmStored {
		return stream.NewConfirmingPublisher(js, nc, confirmTimeout)
	}
	return stream.NewPublisher(js), nil
}

// logProbe tells whether the log takes events. Many may ask at once: an answer
// counts for a second.
type logProbe struct {
	link      *stream.Link
	js        jetstream.JetStream
	topology  stream.Topology
	publisher *stream.Publisher
	now       func() time.Time

	mu    sync.Mutex
	asked time.Time
	err   error
	state stream.State
}

func newLogProbe(link *stream.Link, js jetstream.JetStream, topology stream.Topology, publisher *stream.Publisher, now func() time.Time) *logProbe {
	return &logProbe{link: link, js: js, topology: topology, publisher: publisher, now: now}
}

// ask returns why the log takes no events, nil when it does.
func (p *logProbe) ask(ctx context.Context) (stream.State, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.asked.IsZero() && p.now().Sub(p.asked) < probeLasts {
		return p.state, p.err
	}
	p.state, p.err = p.look(ctx)
	p.asked = p.now()
	return p.state, p.err
}

func (p *logProbe) look(ctx context.Context) (stream.State, error) {
	if err := p.link.Trouble(); err != nil {
		return stream.State{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	state, err := p.topology.Read(ctx, p.js)
	if err == nil {
		err = p.publisher.Trouble()
	}
	return state, err
}

// ready is the probe of /ready: besides, the log has the shape that was asked for.
func (p *logProbe) ready(ctx context.Context) error {
	state, err := p.ask(ctx)
	if err == nil && len(state.Differences) > 0 {
		err = errors.New(strings.Join(state.Differences, "; ") + ": drop the flag, or change the log with `lakepulse log shape`")
	}
	return err
}

// shapeLog makes what is missing of the streams and the bucket of API keys, at
// once if NATS is there and in the background until it is.
func shapeLog(running process, lc fx.Lifecycle, p *logProbe, h *ops.Health, log *slog.Logger) {
	h.Add("event log", p.ready)
	limit := attempts{first: 2 * time.Second, later: shapeTimeout}
	lc.Append(untilDone(running, log, "event log: streams", limit, p.shape))
}

func (p *logProbe) shape(ctx context.Context) error {
	if err := p.link.Trouble(); err != nil {
		return err
	}
	if err := p.topology.Reconcile(ctx, p.js); err != nil {
		return err
	}
	state, err := p.topology.Read(ctx, p.js)
	if err != nil {
		return err
	}
	_, err = auth.EnsureBucket(ctx, p.js, state.Replicas)
	return err
}
