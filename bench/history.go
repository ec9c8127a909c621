package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/bench/load"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
)

const history = 90 * 24 * time.Hour

// fillHistory stores n performance and n/10 usage events, evenly over 90 days in
// the order of time, and marks their hours as the writer would.
func fillHistory(ctx context.Context, pool *pgxpool.Pool, n int, from, to time.Time) error {
	if err := rawstore.New(pool, nil).EnsureDays(ctx, from, to.Add(24*time.Hour)); err != nil {
		return err
	}
	half := from.Add(to.Sub(from) / 2)
	if err := fillRequests(ctx, pool, []stretch{over(from, half, n/2), over(half, to, n-n/2)}); err != nil {
		return err
	}
	step := to.Sub(from) / time.Duration(n/10)
	if _, err := pool.Exec(ctx, insertActions, from, step.Microseconds(), n/10, load.Users); err != nil {
		return fmt.Errorf("fill usage: %w", err)
	}
	if err := markHours(ctx, pool, from, to); err != nil {
		return err
	}
	_, err := pool.Exec(ctx, `VACUUM (ANALYZE) performance_metrics, usage_events`)
	return err
}

const insertActions = `
INSERT INTO usage_events (id, "timestamp", received_at, app, event_type, user_id, success, page_name)
SELECT gen_random_uuid(), t, t, 'bench', (ARRAY['page_view', 'page_view', 'button_click', 'form_submit'])[1 + i % 4],
       'user' || lpad((random() * ($4::int - 1))::int::text, 3, '0') || '@example.com', i % 50 <> 0, '/page/' || i % 12
  FROM generate_series(0, $3::int - 1) AS i, LATERAL (SELECT $1::timestamptz + i * $2::bigint * interval '1 microsecond' AS t) AS at`

func markHours(ctx context.Context, pool *pgxpool.Pool, from, to time.Time) error {
	_, err := pool.Exec(ctx, `
INSERT INTO hour_marks (time_bucket, metric_type)
SELECT h, k FROM generate_series(date_trunc('hour', $1::timestamptz), $2::timestamptz, interval '1 hour') AS h, unnest(ARRAY['performance', 'usage']) AS k
ON CONFLICT DO NOTHING`, from, to)
	return err
}

// forgetAggregates takes a database back to before its first aggregation run.
func forgetAggregates(ctx context.Context, pool *pgxpool.Pool, from, to time.Time) error {
	_, err := pool.Exec(ctx, `TRUNCATE aggregate_hours, aggregate_days, aggregate_totals, hour_receipts, day_receipts, aggregation_runs`)
	if err != nil {
		return err
	}
	return markHours(ctx, pool, from, to)
}
