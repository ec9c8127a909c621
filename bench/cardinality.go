package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/bench/report"
)

// cardinalities are how many keys (apps × endpoints) the history has. The bars are
// about the middle one; the last must work.
var cardinalities = []struct {
	apps, endpoints int
	page            report.Limit
}{
	{5, 10, report.AtMost(100)}, {60, 40, report.AtMost(300)}, {500, 40, report.NoLimit()},
}

const (
	cardinalityRows = 10_000_000
	cardinalityDays = 88
)

// cardinality: what aggregates cost when there are many keys and few requests of
// each in an hour: bytes beside the raw rows they replace, the run, the page's data
// over 90 days. With -rows fewer rows fill as many fewer days, so that an hour holds
// as many requests of a key.
func (b *bench) cardinality(ctx context.Context) error {
	rows := cardinalityRows
	if b.quick {
		rows = cardinalityRows / 20
	}
	if b.rows > 0 {
		rows = b.rows
	}
	for _, c := range cardinalities {
		if err := b.cardinalityOf(ctx, rows, c.apps, c.endpoints, c.page); err != nil {
			return fmt.Errorf("%d keys: %w", c.apps*c.endpoints, err)
		}
	}
	return nil
}

func (b *bench) cardinalityOf(ctx context.Context, rows, apps, endpoints int, limit report.Limit) (err error) {
	name := fmt.Sprintf("cardinality_%d", apps*endpoints)
	dsn, pool, err := b.pg.Migrated(ctx, name)
	if err != nil {
		return err
	}
	defer func() {
		pool.Close()
		err = errors.Join(err, b.pg.Drop(context.WithoutCancel(ctx), name))
	}()
	days := max(2, cardinalityDays*rows/cardinalityRows)
	to := time.Now().UTC().Truncate(time.Hour)
	from := to.Add(-time.Duration(days) * 24 * time.Hour)
	if err := fillKeys(ctx, pool, rows, apps, endpoints, from, to); err != nil {
		return err
	}
	label := fmt.Sprintf("%s rows, %d days, %s keys", report.Number(float64(rows)), days, report.Number(float64(apps*endpoints)))
	started := time.Now()
	used, err := b.aggregateAll(ctx, dsn)
	if err != nil {
		return err
	}
	r := b.report
	r.Add(label+": aggregation", "s", time.Since(started).Seconds())
	r.Add(label+": aggregation peak memory", "MB", float64(used.PeakRSS)/1e6)
	if _, err := pool.Exec(ctx, `VACUUM ANALYZE`); err != nil {
		return err
	}
	var raw, aggregates int64
	if err := pool.QueryRow(ctx, cardinalityBytes).Scan(&raw, &aggregates); err != nil {
		return err
	}
	r.Add(label+": raw rows", "MB", float64(raw)/1e6)
	r.Add(label+": aggregates", "MB", float64(aggregates)/1e6)
	half := report.NoLimit()
	if apps*endpoints == 2400 {
		half = report.AtMost(0.5)
	}
	r.Ratio(label+": aggregates / raw rows", label+": aggregates", label+": raw rows", half)
	return b.cardinalityPages(ctx, dsn, label, limit)
}

// cardinalityPages times the page's data over 90 days.
func (b *bench) cardinalityPages(ctx context.Context, dsn, label string, limit report.Limit) (err error) {
	data, err := b.folder("cardinality")
	if err != nil {
		return err
	}
	p, addr, err := b.role(ctx, "cardinality", "standalone", "--database", dsn, "--data-dir", data,
		"--raw-retention", "2160h", "--warn-rows", "900000000", "--alert-rows", "1000000000")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	if err := b.quiet(ctx, p.PID()); err != nil {
		return err
	}
	for round := range b.rounds + 1 {
		page, err := b.page(ctx, "http://"+addr, "90d", "daily", "UTC")
		if err != nil {
			return err
		}
		if round > 0 {
			b.report.Add(label+": page of 90 days", "ms", page.Seconds()*1000)
		}
	}
	b.report.Bound(label+": page of 90 days, ms", label+": page of 90 days", limit)
	return nil
}

func fillKeys(ctx context.Context, pool *pgxpool.Pool, rows, apps, endpoints int, from, to time.Time) error {
	step := to.Sub(from).Microseconds() / int64(rows)
	for day := from.Truncate(24 * time.Hour); day.Before(to.Add(24 * time.Hour)); day = day.Add(24 * time.Hour) {
		if _, err := pool.Exec(ctx, `SELECT ensure_raw_partition(t, $1::date) FROM unnest(ARRAY['performance_metrics', 'usage_events']) AS t`, day); err != nil {
			return err
		}
	}
	const chunk = 500_000
	for done := 0; done < rows; done += chunk {
		if _, err := pool.Exec(ctx, insertKeys, from, step, done, min(done+chunk, rows)-1, apps, endpoints); err != nil {
			return fmt.Errorf("fill: %w", err)
		}
	}
	if err := markHours(ctx, pool, from, to); err != nil {
		return err
	}
	_, err := pool.Exec(ctx, `VACUUM ANALYZE performance_metrics`)
	return err
}

const (
	insertKeys = `
INSERT INTO performance_metrics (id, "timestamp", received_at, app, endpoint, method, status_code, response_time_ms, user_id, app_version, instance, seq, session_id)
SELECT gen_random_uuid(), t, t, 'app-' || (random() * ($5::int - 1))::int, '/api/v1/things/' || (random() * ($6::int - 1))::int, 'GET',
       CASE WHEN random() < 0.02 THEN 500 ELSE 200 END, exp(random() * 4 + 1), 'user' || (random() * 499)::int || '@example.com', '1.4.2', 'instance-1', i, 'session'
  FROM generate_series($3::bigint, $4::bigint) AS i, LATERAL (SELECT $1::timestamptz + i * $2::bigint * interval '1 microsecond' AS t) AS at`

	// Receipts and runs are the same with few keys and are left out.
	cardinalityBytes = `
SELECT (SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'performance_metrics'::regclass),
       (SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'metrics' AND c.relkind = 'r' AND (c.relname LIKE 'aggregate\_%' OR c.relname LIKE 'aggregated\_%'))`
)
