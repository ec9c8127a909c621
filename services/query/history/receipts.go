package history

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
)

// readReceipts reads which hours and days are aggregated.
func (c *coverage) readReceipts(ctx context.Context, tx pgx.Tx, from, to time.Time) error {
	err := metricsdb.ReadAggregatedHours(ctx, tx, from, to, func(h metricsdb.AggregatedHour) {
		if s := c.receipts[h.Kind]; s != nil {
			s.hours[h.Start.Unix()] = h.Rows
		}
		if h.Whole {
			c.whole[h.Start.Unix()] = true
		}
	})
	if err != nil {
		return err
	}
	return metricsdb.ReadAggregatedDays(ctx, tx, from, to, func(h metricsdb.AggregatedHour) {
		if s := c.receipts[h.Kind]; s != nil {
			s.days[h.Start.Unix()] = h.Rows
		}
	})
}
