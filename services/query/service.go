package query

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// Params are what the service is made of.
type Params struct {
	Pool   *pgxpool.Pool
	Log    *slog.Logger
	Clock  func() time.Time
	Config Config
}

// Service answers the admin API. It holds no state of its own: any number of
// instances may run.
type Service struct {
	store  *snapshot.Store
	log    *slog.Logger
	clock  func() time.Time
	config Config
}

// New returns the service.
func New(p Params) (*Service, error) {
	if err := p.Config.Validate(); err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	return &Service{
		store:  snapshot.New(p.Pool, p.Config.Timeout),
		log:    p.Log.With("component", "query"),
		clock:  p.Clock,
		config: p.Config,
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

// retained reports whether all of a range is still kept.
func (s *Service) retained(r history.Range) bool {
	return !r.Start.Before(oldest(s.now(), s.config.AggregateRetention))
}
