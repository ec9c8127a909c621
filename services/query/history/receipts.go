package history

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
)

// readReceipts reads which hours and days are aggregated.
func (c *coverage) readReceipts(ctx context.Context, tx pgx.Tx, from, to time.Time) error {
	err := metricsdb.ReadAggregatedHours(ctx, tx, from, to, func(kind event.Kind, hour time.Time, rows int64) {
		if s := c.receipts[kind]; s != nil {
			s.hours[hour.Unix()] = rows
		}
	})
	if err != nil {
		return err
	}
	return metricsdb.ReadAggregatedDays(ctx, tx, from, to, func(kind event.Kind, day time.Time, rows int64) {
		if s := c.receipts[kind]; s != nil {
			s.days[day.Unix()] = rows
		}
	})
}
