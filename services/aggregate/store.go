package aggregate

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/postgres"
)

// hour is one hour of one kind.
type hour = metricsdb.Hour

// store is the aggregator's SQL.
type store struct {
	pool   *pgxpool.Pool
	limits limits
	// hook, when set, is called between the statements of a transaction: tests
	// store late rows there, or end the connection.
	hook func(ctx context.Context, step string) error
}

func (s *store) at(ctx context.Context, step string) error {
	if s.hook == nil {
		return nil
	}
	return s.hook(ctx, step)
}

// limits are the most rows and keys that are held at once, and how many rows are
// fetched at a time of an hour that has more. Tests lower them.
type limits struct{ rows, keys, fetch int }

const (
	maxRowsAtOnce = 1_000_000
	maxKeysAtOnce = 150_000
	fetchRows     = 10_000
)

// writeEmpty gives those of the hours that have no rows their receipts, all in
// one statement, and returns the others. A row that is committed meanwhile
// brings a mark along, so a receipt that is wrong by then is corrected.
func (s *store) writeEmpty(ctx context.Context, hours []hour, runID uuid.UUID) ([]hour, error) {
	filled := make(map[hour]bool, len(hours))
	for _, kind := range event.Kinds() {
		var starts, done []time.Time
		for _, h := range hours {
			if h.Kind == kind {
				starts = append(starts, h.Start)
			}
		}
		if len(starts) == 0 {
			continue
		}
		err := postgres.Serializable(ctx, s.pool, func(tx pgx.Tx) (err error) {
			done, err = metricsdb.WriteEmptyReceipts(ctx, tx, kind, starts, runID)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("receipts of empty hours: %w", err)
		}
		for _, start := range done {
			filled[hour{Kind: kind, Start: start}] = true
		}
	}
	var left []hour
	for _, h := range hours {
		if !filled[h] {
			left = append(left, h)
		}
	}
	return left, nil
}

// strayHours lists closed hours with raw rows that came without a mark.
func (s *store) strayHours(ctx context.Context, closed time.Time) ([]hour, error) {
	var out []hour
	for _, kind := range event.Kinds() {
		starts, err := metricsdb.ListStrayHours(ctx, s.pool, kind, closed)
		if err != nil {
			return nil, err
		}
		for _, start := range starts {
			out = append(out, hour{Kind: kind, Start: start})
		}
	}
	return out, nil
}

// differingHours compares receipts with rows for the hours from start to end. It
// returns how many it compared and which differ.
func (s *store) differingHours(ctx context.Context, start, end time.Time) (verified int64, differing []hour, err error) {
	for _, kind := range event.Kinds() {
		err := metricsdb.CompareReceipts(ctx, s.pool, kind, start, end, func(at time.Time, same bool) {
			verified++
			if !same {
				differing = append(differing, hour{Kind: kind, Start: at})
			}
		})
		if err != nil {
			return 0, nil, err
		}
	}
	return verified, differing, nil
}
