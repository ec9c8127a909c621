package admin

import (
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/fx"

	"github.com/lakepulse/lakepulse/pkg/apps"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
)

// Module offers the routes of the administration and the rights of readers, and
// runs the mirror. It needs a Config, the pool, JetStream, a logger and a clock.
var Module = fx.Module("admin", fx.Provide(provide))

type moduleIn struct {
	fx.In

	Lifecycle fx.Lifecycle
	Config    Config
	Pool      *pgxpool.Pool
	JS        jetstream.JetStream
	Logger    *slog.Logger
	Clock     func() time.Time
}

type moduleOut struct {
	fx.Out

	Readers httpapi.Readers
	Routes  []httpapi.Route `group:"routes,flatten"`
}

func provide(in moduleIn) moduleOut {
	registry := apps.NewRegistry(in.Pool, in.Clock)
	mirror := newMirror(registry, in.JS, in.Config.MirrorEvery, in.Logger)
	in.Lifecycle.Append(fx.StartStopHook(mirror.start, mirror.stop))
	s := &Service{registry: registry, mirror: mirror}
	return moduleOut{Readers: apps.NewReaders(registry), Routes: s.Routes()}
}
