package writer

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/lakepulse/lakepulse/pkg/ops"
	"github.com/lakepulse/lakepulse/pkg/settings"
)

// Module runs a writer. It needs a Config, JetStream, the pool, health, a
// logger, a clock and a registry.
var Module = fx.Module("writer", fx.Invoke(run))

type moduleIn struct {
	fx.In

	Lifecycle fx.Lifecycle
	Config    Config
	Settings  *settings.Live
	JS        jetstream.JetStream
	Pool      *pgxpool.Pool
	Health    *ops.Health
	Log       *slog.Logger
	Clock     func() time.Time
	Registry  prometheus.Registerer
}

func run(in moduleIn) error {
	w, err := New(Params{
		Config: in.Config, Settings: in.Settings, JS: in.JS, Pool: in.Pool, Now: in.Clock, Log: in.Log, Registry: in.Registry,
		CodeVersion: in.Health.Version,
	})
	if err != nil {
		return err
	}
	in.Health.Add("writer", func(context.Context) error { return w.Trouble() })
	in.Lifecycle.Append(fx.StartStopHook(w.Start, w.Stop))
	return nil
}
