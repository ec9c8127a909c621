package query

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// A receipt says that an hour or a day is aggregated, and a mark that its raw rows
// have changed since: an hour with a receipt and no mark is answered by aggregates.
const settledHours = `SELECT r.metric_type, r.time_bucket, r.source_rows FROM hour_receipts r
	WHERE r.time_bucket >= ? AND r.time_bucket < ? AND NOT EXISTS
	(SELECT FROM hour_marks m WHERE m.metric_type = r.metric_type AND m.time_bucket = r.time_bucket)`

const settledDays = `SELECT r.metric_type, r.time_bucket, r.source_rows FROM day_receipts r
	WHERE r.time_bucket >= ? AND r.time_bucket < ? AND NOT EXISTS
	(SELECT FROM hour_marks m WHERE m.metric_type = r.metric_type AND m.time_bucket >= r.time_bucket
	    AND m.time_bucket < r.time_bucket + interval '24 hours')`

// readReceipts reads which hours and days are aggregated.
func (c *coverage) readReceipts(ctx context.Context, tx pgx.Tx, from, to time.Time) error {
	var hours, days statement
	hours.add(settledHours, from.Truncate(time.Hour), to)
	err := collect(ctx, tx, &hours, "read hour receipts", func(rows pgx.Rows) error {
		return c.take(rows, func(s *standing) map[int64]int64 { return s.hours })
	})
	if err != nil {
		return err
	}
	days.add(settledDays, from.Truncate(day), to)
	return collect(ctx, tx, &days, "read day receipts", func(rows pgx.Rows) error {
		return c.take(rows, func(s *standing) map[int64]int64 { return s.days })
	})
}

func (c *coverage) take(rows pgx.Rows, set func(*standing) map[int64]int64) error {
	var kind event.Kind
	var at time.Time
	var n int64
	if err := rows.Scan(&kind, &at, &n); err != nil {
		return err
	}
	if s := c.complete[kind]; s != nil {
		set(s)[at.Unix()] = n
	}
	return nil
}
