package aggregate

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/lakepulse/lakepulse/pkg/httpapi"
)

// Module does aggregation runs and offers their routes and micro-service. It
// needs a Config, the pool, the connection to NATS, a logger, a clock and a
// registry.
var Module = fx.Module("aggregate", fx.Provide(provide))

type moduleIn struct {
	fx.In

	Lifecycle fx.Lifecycle
	Config    Config
	Pool      *pgxpool.Pool
	NATS      *nats.Conn
	Log       *slog.Logger
	Clock     func() time.Time
	Registry  prometheus.Registerer
}

type moduleOut struct {
	fx.Out

	Service *Service
	Routes  []httpapi.Route `group:"routes,flatten"`
}

// microVersion is the version of the micro-service's interface.
const microVersion = "1.0.0"

func provide(in moduleIn) (moduleOut, error) {
	runner, err := New(Params{Config: in.Config, Pool: in.Pool, Now: in.Clock, Log: in.Log, Registry: in.Registry})
	if err != nil {
		return moduleOut{}, err
	}
	s := NewService(runner)
	in.Lifecycle.Append(fx.StartStopHook(s.Start, s.Stop))
	var offer io.Closer
	in.Lifecycle.Append(fx.Hook{
		OnStart: func(context.Context) (err error) {
			offer, err = s.Offer(in.NATS, microVersion)
			return err
		},
		OnStop: func(context.Context) error { return offer.Close() },
	})
	return moduleOut{Service: s, Routes: s.Routes()}, nil
}
