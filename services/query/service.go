package query

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/settings"
	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/pipeline"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// Params are what the service is made of.
type Params struct {
	Pool *pgxpool.Pool
	// Counts is the pool of usage/count, so that people's browsers never wait for
	// the questions of administrators; nil is Pool.
	Counts *pgxpool.Pool
	Log    *slog.Logger
	Clock  func() time.Time
	Config Config
	// Readers says which apps a person may read who is no administrator; nil: none.
	Readers httpapi.Readers
	// Settings are the recorded ones; nil: the Config holds.
	Settings *settings.Live
}

// Service answers the admin API. It holds no state of its own: any number of
// instances may run.
type Service struct {
	store    *snapshot.Store
	counts   *snapshot.Store
	log      *slog.Logger
	clock    func() time.Time
	config   Config
	readers  httpapi.Readers
	settings *settings.Live
}

// New returns the service.
func New(p Params) (*Service, error) {
	if err := p.Config.Validate(); err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	if p.Counts == nil {
		p.Counts = p.Pool
	}
	// One connection of the small pool is left to those who ask whether the database is there.
	counts := max(1, int(p.Counts.Config().MaxConns)-1)
	return &Service{
		store:    snapshot.New(p.Pool, p.Config.Timeout, p.Config.InFlight),
		counts:   snapshot.New(p.Counts, p.Config.Timeout, counts),
		log:      p.Log.With("component", "query"),
		clock:    p.Clock,
		config:   p.Config,
		readers:  p.Readers,
		settings: p.Settings,
	}, nil
}

// Routes returns every route of the service.
func (s *Service) Routes() []httpapi.Route {
	return []httpapi.Route{
		s.me(),
		s.apps(),
		s.performance(),
		s.usage(),
		s.timeSeries(),
		s.endpointDetail(),
		s.eventDetail(),
		s.requests(),
		s.features(),
		s.export(),
		s.usageCount(),
		s.pipeline(),
		s.deadLetters(),
		s.deadLetter(),
	}
}

func (s *Service) now() time.Time { return s.clock().UTC() }

// read opens a view of a range in one snapshot and runs f on it. f returns how many
// events its answer counts: where it counts none, the app asked for must be known.
func (s *Service) read(ctx context.Context, q history.Question, app string, f func(context.Context, pgx.Tx, *history.View) (int64, error)) error {
	q.Now = s.now()
	return s.store.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		v, err := history.Open(ctx, tx, q)
		if err != nil {
			return err
		}
		n, err := f(ctx, tx, v)
		if err != nil || n > 0 {
			return err
		}
		return history.RequireApp(ctx, tx, app, q.Now)
	})
}

func (s *Service) rawRetention() time.Duration { return s.settings.RawRetention(s.config.RawRetention) }

func (s *Service) aggregateRetention() time.Duration {
	return s.settings.AggregateRetention(s.config.AggregateRetention)
}

// bounds are the installation's limits that the pipeline's view needs.
func (s *Service) bounds() pipeline.Limits {
	return pipeline.Limits{RawRetention: s.rawRetention(), WarnRows: s.config.WarnRows, AlertRows: s.config.AlertRows}
}

// retained reports whether all of a range is still kept.
func (s *Service) retained(r history.Range) bool {
	return !r.Start.Before(oldest(s.now(), s.aggregateRetention()))
}
