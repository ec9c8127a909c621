package query

import (
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/fx"

	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/settings"
)

// Module offers the routes of the admin API. It needs a Config, a pool for the
// questions of administrators and a small one for counts, a logger and a clock.
var Module = fx.Module("query", fx.Provide(provide))

type moduleIn struct {
	fx.In

	Config   Config
	Settings *settings.Live
	Pool     *pgxpool.Pool `name:"questions"`
	Counts   *pgxpool.Pool `name:"small"`
	Log      *slog.Logger
	Clock    func() time.Time

	Readers httpapi.Readers `optional:"true"`
}

type moduleOut struct {
	fx.Out

	Service *Service
	Routes  []httpapi.Route `group:"routes,flatten"`
}

func provide(in moduleIn) (moduleOut, error) {
	s, err := New(Params{Pool: in.Pool, Counts: in.Counts, Log: in.Log, Clock: in.Clock, Config: in.Config, Readers: in.Readers, Settings: in.Settings})
	if err != nil {
		return moduleOut{}, err
	}
	return moduleOut{Service: s, Routes: s.Routes()}, nil
}
