package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/lakepulse/lakepulse/bench/report"
	"github.com/lakepulse/lakepulse/bench/rig"
)

// judgedRows is from how many raw rows on the bars hold.
const judgedRows = 10_000_000

// dashboard: the aggregation of 90 days, and the page's calls over them beside
// the same numbers from raw rows.
func (b *bench) dashboard(ctx context.Context) error {
	sizes := []int{1_000_000, 10_000_000}
	if b.quick {
		sizes = []int{100_000}
	}
	if b.rows > 0 {
		sizes = []int{b.rows}
	}
	for _, n := range sizes {
		if err := b.dashboardOf(ctx, n); err != nil {
			return fmt.Errorf("%d rows: %w", n, err)
		}
	}
	return nil
}

func (b *bench) dashboardOf(ctx context.Context, n int) (err error) {
	name := fmt.Sprintf("dashboard_%d", n)
	dsn, pool, err := b.pg.Migrated(ctx, name)
	if err != nil {
		return err
	}
	defer func() { // 10 M rows are 3 GB
		pool.Close()
		err = errors.Join(err, b.pg.Drop(context.WithoutCancel(ctx), name))
	}()
	// The last hour is left out: the oldest must not age away while this runs.
	to := time.Now().UTC().Truncate(time.Hour)
	from := to.Add(-history).Add(2 * time.Hour)
	label := report.Number(float64(n)) + " rows"
	started := time.Now()
	if err := fillHistory(ctx, pool, n, from, to); err != nil {
		return err
	}
	b.report.Add(label+": fill", "rows/s", float64(n)*1.1/time.Since(started).Seconds())
	if err := b.aggregation(ctx, dsn, pool, label, n, from, to); err != nil {
		return err
	}
	if err := b.pages(ctx, dsn, pool, label, n >= judgedRows); err != nil {
		return err
	}
	return unpurged(ctx, pool, from)
}

// aggregation times a first run over everything beside one pass that groups the
// same rows by hour and key and takes exact percentiles.
func (b *bench) aggregation(ctx context.Context, dsn string, pool *pgxpool.Pool, label string, n int, from, to time.Time) error {
	r := b.report
	rounds := b.pick(1, 3)
	if n < judgedRows {
		rounds = min(rounds, 2) // most of it is the 4300 hours' own cost, which no bar is about
	}
	for range rounds {
		before, err := b.pg.Usage()
		if err != nil {
			return err
		}
		started := time.Now()
		if _, err := pool.Exec(ctx, groupByPass); err != nil {
			return err
		}
		r.Add(label+": GROUP BY pass", "s", time.Since(started).Seconds())
		between, err := b.pg.Usage()
		if err != nil {
			return err
		}
		r.Add(label+": GROUP BY pass: Postgres CPU", "s", between.CPU-before.CPU)
		if err := forgetAggregates(ctx, pool, from, to); err != nil {
			return err
		}
		started = time.Now()
		used, err := b.aggregateAll(ctx, dsn)
		if err != nil {
			return err
		}
		took := time.Since(started)
		after, err := b.pg.Usage()
		if err != nil {
			return err
		}
		r.Add(label+": aggregation", "s", took.Seconds())
		r.Add(label+": aggregation: CPU", "s", used.CPU)
		r.Add(label+": aggregation: Postgres CPU", "s", after.CPU-between.CPU)
		r.Add(label+": aggregation speed", "rows/s", float64(n)*1.1/took.Seconds())
		r.Add(label+": aggregation peak memory", "MB", float64(used.PeakRSS)/1e6)
	}
	limit := report.NoLimit()
	if n >= judgedRows {
		limit = report.AtMost(2)
	}
	r.Ratio(label+": aggregation / GROUP BY pass", label+": aggregation", label+": GROUP BY pass", limit)
	return nil
}

// aggregateAll runs the command until everything is done: hours that failed are
// taken up by the next run, and what all runs take counts.
func (b *bench) aggregateAll(ctx context.Context, dsn string) (used rig.Usage, err error) {
	const most = 5
	for try := 1; ; try++ {
		p, err := rig.Start(rig.Command{Name: "aggregate", Path: b.binary, Dir: b.dir, Args: []string{
			"aggregate", "--once", "--database", dsn, "--raw-retention", "2160h", "--alert-rows", "1000000000", "--warn-rows", "900000000",
		}})
		if err != nil {
			return used, err
		}
		if err = p.Wait(ctx); ctx.Err() != nil {
			return used, err
		}
		used.CPU += p.CPU()
		used.PeakRSS = max(used.PeakRSS, p.PeakRSS())
		if err == nil || try == most {
			return used, err
		}
		b.report.Note("a run ended with hours that failed and was started again: %s", p.Tail())
	}
}

// groupByPass uses every column of its groups: Postgres does not compute what
// nobody reads, and would leave the percentiles out.
const groupByPass = `
SELECT count(*), sum(requests), sum(mean), min(least), max(most), sum(p[1]), sum(p[2]), sum(p[3]), sum(errors) FROM (
  SELECT date_bin('1 hour', "timestamp", 'epoch'), app, endpoint, method, count(*) AS requests, avg(response_time_ms) AS mean,
         min(response_time_ms) AS least, max(response_time_ms) AS most,
         percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY response_time_ms) AS p,
         count(*) FILTER (WHERE status_code >= 400) AS errors
    FROM performance_metrics GROUP BY 1, 2, 3, 4) AS g`

// ranges are the page's presets with the buckets it asks for by itself. Days
// begin where the viewer is: in UTC they are there as a tier, elsewhere they are
// put together from hours.
var ranges = []struct {
	name, label string
	days        int
	interval    string
	zone        string
	bucket      string // the same for SQL
}{
	{"24h", "24h", 1, "5min", "", "5 minutes"},
	{"7d", "7d", 7, "hourly", "", "1 hour"},
	{"30d", "30d", 30, "hourly", "", "1 hour"},
	{"90d", "90d", 90, "daily", "UTC", "1 day"},
	{"90d", "90d in Berlin", 90, "daily", "Europe/Berlin", ""},
}

// pages times what the page asks for, side by side as it asks, and the same
// numbers from raw rows, side by side as well.
func (b *bench) pages(ctx context.Context, dsn string, pool *pgxpool.Pool, label string, judged bool) (err error) {
	data, err := b.folder("dashboard")
	if err != nil {
		return err
	}
	p, addr, err := b.role(ctx, "dashboard", "standalone", "--database", dsn, "--data-dir", data,
		// A retention run would purge what the exact numbers come from.
		"--raw-retention", "2160h", "--warn-rows", "900000000", "--alert-rows", "1000000000")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	if err := b.quiet(ctx, p.PID()); err != nil {
		return err
	}
	r := b.report
	for round := range b.rounds + 1 {
		for _, rg := range ranges {
			page, err := b.page(ctx, "http://"+addr, rg.name, rg.interval, rg.zone)
			if err != nil {
				return err
			}
			if round > 0 {
				r.Add(label+", "+rg.label+": page", "ms", page.Seconds()*1000)
			}
			if rg.bucket == "" || b.quick && rg.days != 90 || round == 0 || round > exactRounds {
				continue // exact percentiles take long, further rounds say nothing new, and the rows are warm
			}
			exact, err := exactly(ctx, pool, rg.days, rg.bucket)
			if err != nil {
				return err
			}
			r.Add(label+", "+rg.label+": exact from raw", "ms", exact.Seconds()*1000)
		}
	}
	b.pageBars(label, judged)
	return nil
}

// exactRounds of the exact numbers are enough: they are far from any bar, and at
// 10 M rows each takes a good part of a minute.
const exactRounds = 3

func (b *bench) pageBars(label string, judged bool) {
	faster, within := report.NoLimit(), report.NoLimit()
	if judged {
		faster, within = report.AtLeast(30), report.AtMost(500)
	}
	r := b.report
	for _, name := range []string{"24h", "7d", "30d"} {
		r.Ratio(label+", "+name+": exact / page", label+", "+name+": exact from raw", label+", "+name+": page", report.NoLimit())
	}
	for _, name := range []string{"90d", "90d in Berlin"} {
		r.Ratio(label+", "+name+": exact / page", label+", 90d: exact from raw", label+", "+name+": page", faster)
		r.Bound(label+", "+name+": page", label+", "+name+": page", within)
	}
}

// unpurged makes sure that the raw rows were there all the time.
func unpurged(ctx context.Context, pool *pgxpool.Pool, from time.Time) error {
	var purged bool
	if err := pool.QueryRow(ctx, `SELECT purged_before > $1 FROM purge_line`, from).Scan(&purged); err != nil {
		return err
	}
	if purged {
		return errors.New("raw rows were purged while they were measured")
	}
	return nil
}

// page asks what the start page asks, as web/src builds it: who is looking and
// the apps, and for the range the totals, the time series and the usage.
func (b *bench) page(ctx context.Context, base, name, interval, zone string) (time.Duration, error) {
	bucketed := "time_range=" + name + "&interval=" + interval
	if zone != "" {
		bucketed += "&time_zone=" + url.QueryEscape(zone)
	}
	g, gctx := errgroup.WithContext(ctx)
	started := time.Now()
	for _, path := range []string{
		"/api/v1/me", "/api/v1/apps?time_range=" + name, "/api/v1/metrics/performance?compare=true&time_range=" + name,
		"/api/v1/metrics/usage?users=false&" + bucketed, "/api/v1/metrics/time-series?metric_type=both&" + bucketed,
	} {
		g.Go(func() error {
			_, err := ask(gctx, "GET", base+path, "", "")
			return err
		})
	}
	err := g.Wait()
	return time.Since(started), err
}

// exactly computes the page's numbers from raw rows, without the comparison with
// the period before.
func exactly(ctx context.Context, pool *pgxpool.Pool, days int, bucket string) (time.Duration, error) {
	g, gctx := errgroup.WithContext(ctx)
	started := time.Now()
	for _, sql := range exactQueries {
		g.Go(func() error {
			rows, err := pool.Query(gctx, sql, pgx.NamedArgs{"days": days, "bucket": bucket})
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() { //nolint:revive // read to its end: the rows are the work
			}
			return rows.Err()
		})
	}
	err := g.Wait()
	return time.Since(started), err
}

const exactPercentiles = `percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY response_time_ms), count(*), avg(response_time_ms), count(*) FILTER (WHERE status_code >= 400)
  FROM performance_metrics WHERE "timestamp" >= now() - @days::int * interval '1 day'`

var exactQueries = []string{
	`SELECT count(DISTINCT user_id), @bucket::text, ` + exactPercentiles,
	`SELECT endpoint, method, @bucket::text, ` + exactPercentiles + ` GROUP BY 1, 2`,
	`SELECT date_bin(@bucket::interval, "timestamp", 'epoch'), ` + exactPercentiles + ` GROUP BY 1`,
	`SELECT event_type, page_name, @bucket::text, count(*), count(DISTINCT user_id) FROM usage_events
	  WHERE "timestamp" >= now() - @days::int * interval '1 day' GROUP BY GROUPING SETS ((), (event_type), (page_name))`,
	`SELECT date_bin(@bucket::interval, "timestamp", 'epoch'), count(*), count(DISTINCT user_id) FROM usage_events
	  WHERE "timestamp" >= now() - @days::int * interval '1 day' GROUP BY 1`,
}
