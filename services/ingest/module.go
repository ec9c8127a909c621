package ingest

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/settings"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// Module offers ingest's routes. It needs a Config, the publisher, JetStream, a
// logger, a clock and a registry.
var Module = fx.Module("ingest", fx.Provide(provide))

type moduleIn struct {
	fx.In

	Lifecycle fx.Lifecycle
	Config    Config
	Settings  *settings.Live
	Publisher *stream.Publisher
	JS        jetstream.JetStream
	Keys      *auth.Verifier
	Log       *slog.Logger
	Clock     func() time.Time
	Registry  prometheus.Registerer
}

type moduleOut struct {
	fx.Out

	Service *Service
	Routes  []httpapi.Route `group:"routes,flatten"`
}

func provide(in moduleIn) (moduleOut, error) {
	reports := func(ctx context.Context, r stream.LedgerReport) error { return stream.PublishLedger(ctx, in.JS, r) }
	s, err := New(Params{Config: in.Config, Settings: in.Settings, Publisher: in.Publisher, Apps: in.Keys, Reports: reports, Now: in.Clock, Log: in.Log, Registry: in.Registry})
	if err != nil {
		return moduleOut{}, err
	}
	in.Lifecycle.Append(fx.StartStopHook(s.Start, s.Stop))
	return moduleOut{Service: s, Routes: s.Routes()}, nil
}
