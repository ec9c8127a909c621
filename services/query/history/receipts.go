package history

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// A receipt says that an hour or a day is aggregated, and a mark that its raw rows
// have changed since: an hour with a receipt and no mark is answered by aggregates.
const aggregatedHoursSQL = `SELECT r.metric_type, r.time_bucket, r.source_rows FROM hour_receipts r
	WHERE r.time_bucket >= ? AND r.time_bucket < ? AND NOT EXISTS
	(SELECT FROM hour_marks m WHERE m.metric_type = r.metric_type AND m.time_bucket = r.time_bucket)`

const aggregatedDaysSQL = `SELECT r.metric_type, r.time_bucket, r.source_rows FROM day_receipts r
	WHERE r.time_bucket >= ? AND r.time_bucket < ? AND NOT EXISTS
	(SELECT FROM hour_marks m WHERE m.metric_type = r.metric_type AND m.time_bucket >= r.time_bucket
	    AND m.time_bucket < r.time_bucket + interval '24 hours')`

// readReceipts reads which hours and days are aggregated.
func (c *coverage) readReceipts(ctx context.Context, tx pgx.Tx, from, to time.Time) error {
	var hours, days snapshot.Statement
	hours.Add(aggregatedHoursSQL, from.Truncate(time.Hour), to)
	err := snapshot.Collect(ctx, tx, &hours, "read hour receipts", func(rows pgx.Rows) error {
		return c.addReceipts(rows, func(s *aggregatedHours) map[int64]int64 { return s.hours })
	})
	if err != nil {
		return err
	}
	days.Add(aggregatedDaysSQL, from.Truncate(Day), to)
	return snapshot.Collect(ctx, tx, &days, "read day receipts", func(rows pgx.Rows) error {
		return c.addReceipts(rows, func(s *aggregatedHours) map[int64]int64 { return s.days })
	})
}

func (c *coverage) addReceipts(rows pgx.Rows, set func(*aggregatedHours) map[int64]int64) error {
	var kind event.Kind
	var at time.Time
	var n int64
	if err := rows.Scan(&kind, &at, &n); err != nil {
		return err
	}
	if s := c.receipts[kind]; s != nil {
		set(s)[at.Unix()] = n
	}
	return nil
}
