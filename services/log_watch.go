package services

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/lakepulse/lakepulse/pkg/embedded"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// logMetrics are what every process with the log exports of it, so that a log
// that nobody stores is told by those who fill it. Unknown is NaN, never 0.
type logMetrics struct {
	ready, differs, waiting, stalled prometheus.Gauge
}

func newLogMetrics(reg prometheus.Registerer) logMetrics {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "lakepulse_log_" + name, Help: help})
		reg.MustRegister(g)
		return g
	}
	return logMetrics{
		ready:   gauge("ready", "1 while the event log takes events, 0 while it does not."),
		differs: gauge("shape_differs", "1 while replicas or bounds of the log are not those this process was told."),
		waiting: gauge("waiting_messages", "Messages of the log that no writer has stored; NaN while unknown."),
		stalled: gauge("stalled_seconds", "How long messages have waited without any being stored; NaN while unknown."),
	}
}

// logWatch looks after the log while the process runs: streams that are lost are
// made again, an embedded server that has stopped JetStream is started again.
type logWatch struct {
	probe   *logProbe
	server  *embedded.NATS // nil for a log outside
	metrics logMetrics
	log     *slog.Logger

	trouble  string // as logged last
	failures int    // in a row
	stored   uint64 // the position of the writers when it moved last
	movedAt  time.Time
}

type watchIn struct {
	fx.In

	Lifecycle fx.Lifecycle
	Probe     *logProbe
	Registry  prometheus.Registerer
	Log       *slog.Logger
	Embedded  embeddedLog `optional:"true"`
}

func watchLog(in watchIn) {
	w := &logWatch{probe: in.Probe, server: in.Embedded.server, metrics: newLogMetrics(in.Registry), log: in.Log}
	in.Lifecycle.Append(repeat(watchEvery, w.look))
}

func (w *logWatch) look(ctx context.Context) {
	state, err := w.probe.ask(ctx)
	if errors.Is(ctx.Err(), context.Canceled) {
		return // the process stops
	}
	w.tell(ctx, state, err)
	if err != nil {
		w.failures++
		w.mend(ctx, err)
		return
	}
	w.failures = 0
}

// tell sets the gauges and logs when trouble begins, changes and ends.
func (w *logWatch) tell(ctx context.Context, state stream.State, err error) {
	w.metrics.ready.Set(oneIf(err == nil))
	w.metrics.differs.Set(oneIf(len(state.Differences) > 0))
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != w.trouble {
		w.trouble = text
		if text == "" {
			w.log.Info("event log: takes events again")
		} else {
			w.log.Warn("event log: takes no events", "error", text)
		}
	}
	w.progress(ctx, err != nil)
}

// progress sets how long the log has waited for a writer. It asks for positions
// only, so that ingest needs no right to read the log.
func (w *logWatch) progress(ctx context.Context, unknown bool) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	waiting, stored, err := stream.Unstored(ctx, w.probe.js)
	if unknown || err != nil {
		w.metrics.waiting.Set(math.NaN())
		w.metrics.stalled.Set(math.NaN())
		return
	}
	now := w.probe.now()
	if waiting == 0 || stored != w.stored || w.movedAt.IsZero() {
		w.stored, w.movedAt = stored, now
	}
	w.metrics.waiting.Set(float64(waiting))
	w.metrics.stalled.Set(now.Sub(w.movedAt).Seconds())
}

// mend makes lost streams again, and starts an embedded server again that has
// given JetStream up, as it does when its disk is full.
func (w *logWatch) mend(ctx context.Context, err error) {
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		attempt, cancel := context.WithTimeout(ctx, shapeTimeout)
		defer cancel()
		if err := w.probe.shape(attempt); err != nil {
			w.log.Warn("event log: lost streams not made again", "error", err)
			return
		}
		w.log.Error("event log: streams were lost and are made again, empty")
	case w.server != nil && w.failures%3 == 0:
		w.log.Warn("event log: starting the embedded NATS again", "error", err)
		if err := w.server.Restart(); err != nil {
			w.log.Error("event log: the embedded NATS does not start", "error", err)
		}
	}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
