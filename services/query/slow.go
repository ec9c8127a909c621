package query

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/stats"
)

// slowHours returns spans of the raw window that hold its n slowest requests:
// the n aggregated hours whose slowest request is slowest, and everything that
// is not aggregated.
func (v *view) slowHours(ctx context.Context, tx pgx.Tx, f filter, n int) ([]span, error) {
	window := v.rawWindow()
	if len(window) == 0 {
		return nil, nil
	}
	r := v.cover.plan(event.KindPerformance, window[0].from, window[0].to, preference{aggregates: true, noDays: true})
	spans := r.raw
	if len(r.hours) == 0 {
		return spans, nil
	}
	err := collect(ctx, tx, slowHoursStatement(f, r, n), "find slow hours", func(rows pgx.Rows) error {
		var hour span
		err := rows.Scan(&hour.from, &hour.to)
		spans = append(spans, hour)
		return err
	})
	return spans, err
}

// slowerThan returns how long so many requests of the raw window took at least,
// by its aggregates; 0 when those count fewer.
func (v *view) slowerThan(ctx context.Context, tx pgx.Tx, f filter, n int) (float64, error) {
	window := v.rawWindow()
	if len(window) == 0 {
		return 0, nil
	}
	r := v.cover.plan(event.KindPerformance, window[0].from, window[0].to, preference{aggregates: true})
	r.raw = nil
	if !r.aggregated() {
		return 0, nil
	}
	t, err := tallyRequests(ctx, tx, r, f)
	if err != nil || t.n < int64(n) {
		return 0, err
	}
	bucket, _ := t.histogram.Rank(uint64(t.n - int64(n) + 1)) // positive
	from, _ := stats.Bounds(bucket)
	return from, nil
}
