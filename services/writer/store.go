package writer

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// store is the writer's database: the raw tables, and what the writer says of
// itself beside them.
type store struct {
	*rawstore.Store
	pool *pgxpool.Pool
}

func (s *store) putReport(ctx context.Context, r stream.LedgerReport) error {
	return metricsdb.StoreLedgerReport(ctx, s.pool, r)
}

func (s *store) putStatus(ctx context.Context, status metricsdb.WriterStatus) error {
	return metricsdb.WriteWriterStatus(ctx, s.pool, status)
}

func (s *store) putDeadLetters(ctx context.Context, letters metricsdb.DeadLetters) error {
	return metricsdb.WriteDeadLetters(ctx, s.pool, letters)
}

// putPosition writes a position; seen is the database's own, nil when it had none of
// this log.
func (s *store) putPosition(ctx context.Context, p stream.Position, seen *metricsdb.Position) error {
	next := metricsdb.Position{Stream: stream.Name, Incarnation: p.Incarnation, Sequence: p.Sequence, StoredThrough: p.StoredThrough}
	if seen == nil {
		return metricsdb.WritePosition(ctx, s.pool, next)
	}
	return metricsdb.AdvancePosition(ctx, s.pool, next, *seen)
}
