package history

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/stats"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// FindSlowHours returns spans of the raw window that hold its n slowest requests:
// the n aggregated hours whose slowest request is slowest, and everything that
// is not aggregated.
func (v *View) FindSlowHours(ctx context.Context, tx pgx.Tx, f snapshot.Filter, n int) ([]snapshot.Span, error) {
	window := v.RawWindow()
	if len(window) == 0 {
		return nil, nil
	}
	r := v.coverage.plan(event.KindPerformance, window[0].From, window[0].To, planOptions{aggregates: true, noDays: true})
	spans := r.raw
	if len(r.hours) == 0 {
		return spans, nil
	}
	err := snapshot.Collect(ctx, tx, slowHoursStatement(f, r, n), "find slow hours", func(rows pgx.Rows) error {
		var hour snapshot.Span
		err := rows.Scan(&hour.From, &hour.To)
		spans = append(spans, hour)
		return err
	})
	return spans, err
}

// LeastOfSlowest returns how long so many requests of the raw window took at least,
// by its aggregates; 0 when those count fewer.
func (v *View) LeastOfSlowest(ctx context.Context, tx pgx.Tx, f snapshot.Filter, n int) (float64, error) {
	window := v.RawWindow()
	if len(window) == 0 {
		return 0, nil
	}
	r := v.coverage.plan(event.KindPerformance, window[0].From, window[0].To, planOptions{aggregates: true})
	r.raw = nil
	if !r.aggregated() {
		return 0, nil
	}
	t, err := tallyRequests(ctx, tx, r, f)
	if err != nil || t.N < int64(n) {
		return 0, err
	}
	bucket, _ := t.histogram.Rank(uint64(t.N - int64(n) + 1)) // positive
	from, _ := stats.Bounds(bucket)
	return from, nil
}

// FindUserHours returns spans of the raw window that hold all usage events of a
// user: the aggregated hours in which the user had any, and everything that is
// not aggregated.
func (v *View) FindUserHours(ctx context.Context, tx pgx.Tx, app, user string) ([]snapshot.Span, error) {
	window := v.RawWindow()
	if len(window) == 0 {
		return nil, nil
	}
	r := v.coverage.plan(event.KindUsage, window[0].From, window[0].To, planOptions{aggregates: true, noDays: true})
	spans := r.raw
	if len(r.hours) == 0 {
		return spans, nil
	}
	err := snapshot.Collect(ctx, tx, hoursWithUser(r, app, user), "find hours of a user", func(rows pgx.Rows) error {
		var hour snapshot.Span
		err := rows.Scan(&hour.From, &hour.To)
		spans = append(spans, hour)
		return err
	})
	return spans, err
}
