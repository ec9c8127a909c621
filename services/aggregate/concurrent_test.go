package aggregate_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services/aggregate"
)

func TestConcurrentRuns(t *testing.T) {
	t.Parallel()

	t.Run("leave the same rows as one, even without the lease", func(t *testing.T) {
		t.Parallel()
		alone := aDay(t)
		alone.run()

		w := aDay(t)
		// Two at once: the lease is torn from whoever has it, at every step.
		steal := func(ctx context.Context, _ string) error {
			_, err := w.pool.Exec(ctx, `UPDATE aggregation_lease SET held_until = '-infinity'`)
			return err
		}
		runners := []*aggregate.Runner{w.runner, w.newRunner(testkit.Logger(t))}
		var wg sync.WaitGroup
		for _, r := range runners {
			aggregate.SetHook(r, steal)
			wg.Go(func() {
				run, err := r.Once(t.Context(), aggregate.Request{Trigger: aggregate.TriggerCommand})
				if err != nil || len(run.Failures) > 0 {
					t.Errorf("%v %v", err, run.Failures)
				}
			})
		}
		w.exec(`UPDATE aggregation_lease SET held_until = '-infinity'`)
		wg.Wait()
		w.run()
		w.requireSame(alone)
		w.requireReference()
	})

	t.Run("do not sum up a day that the other has forgotten meanwhile", func(t *testing.T) {
		t.Parallel()
		w := aDay(t)
		other := w.newRunner(testkit.Logger(t))
		var once sync.Once
		purged := false
		aggregate.SetHook(w.runner, func(_ context.Context, name string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			purged = purged || name == "line moved"
			if purged && name == "day read" { // the oldest day comes first
				once.Do(func() {
					w.exec(`UPDATE aggregation_lease SET held_until = '-infinity'`)
					_, err := other.Once(t.Context(), aggregate.Request{Trigger: aggregate.TriggerCommand})
					require.NoError(t, err)
				})
			}
			return nil
		})
		w.run()
		require.Zero(t, scan[int](w, `SELECT count(*) FROM day_receipts d
			WHERE NOT EXISTS (SELECT FROM hour_receipts h WHERE date_trunc('day', h.time_bucket, 'UTC') = d.time_bucket)`))
	})

	t.Run("take turns by the lease", func(t *testing.T) {
		t.Parallel()
		w := aDay(t)
		inside, leave := make(chan struct{}), make(chan struct{})
		var once sync.Once
		aggregate.SetHook(w.runner, func(context.Context, string) error {
			once.Do(func() { close(inside); <-leave })
			return nil
		})
		first := make(chan error, 1)
		go func() {
			_, err := w.runner.Once(t.Context(), aggregate.Request{Trigger: aggregate.TriggerCommand})
			first <- err
		}()
		testkit.Receive(t, "the first run", inside)
		other := w.newRunner(testkit.Logger(t))
		_, err := other.Once(t.Context(), aggregate.Request{Trigger: aggregate.TriggerCommand, Unattended: true})
		require.ErrorIs(t, err, aggregate.ErrBusy)
		close(leave)
		require.NoError(t, testkit.Receive(t, "the end of the first run", first))
		_, err = other.Once(t.Context(), aggregate.Request{Trigger: aggregate.TriggerCommand, Unattended: true})
		require.NoError(t, err)
	})
}

func TestLanesThatClash(t *testing.T) {
	t.Parallel()

	t.Run("fail no hour: one that lost against the others has the run to itself", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.prepare(start.Add(-5*24*time.Hour), start)
		e := w.make(1, start.Add(-30*time.Hour), start.Add(-29*time.Hour))
		e.usage = nil
		for h := range 40 {
			e.usage = append(e.usage, w.usage(start.Truncate(time.Hour).Add(-time.Duration(4+2*h)*time.Hour)))
		}
		w.store(e)
		// What small tables and indexes do by chance happens each time here: every
		// transaction reads all of a table that every other one writes, and the one
		// of the performance hour lasts until two others have gone by.
		w.exec(`
CREATE SEQUENCE gone_by;
CREATE FUNCTION read_everything() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE seen bigint := (SELECT last_value FROM gone_by);
BEGIN
    PERFORM count(sample_count) FROM aggregated_totals;
    IF NEW.metric_type = 'usage' THEN
        PERFORM nextval('gone_by');
    ELSE
        FOR i IN 1..500 LOOP
            EXIT WHEN (SELECT last_value FROM gone_by) >= seen + 3;
            PERFORM pg_sleep(0.001);
        END LOOP;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER read_everything BEFORE UPDATE ON hour_receipts FOR EACH ROW EXECUTE FUNCTION read_everything();
INSERT INTO hour_receipts (metric_type, time_bucket) SELECT metric_type, time_bucket FROM hour_marks`)
		aggregate.SetClashes(w.runner, 3)
		run := w.rollUp()
		require.Empty(t, run.Failures)
		w.requireReference()
	})
}

// census counts everything there is as a reader must: aggregates where there is
// a receipt and no mark, or where only aggregates are left, and raw rows
// elsewhere; whole days from the daily tier where that holds. The second number
// is the same without the daily tier.
const census = `
WITH line AS (SELECT purged_before FROM purge_line),
closed AS (
    SELECT metric_type, time_bucket FROM hour_receipts r, line
     WHERE time_bucket < purged_before
        OR NOT EXISTS (SELECT FROM hour_marks m WHERE m.metric_type = r.metric_type AND m.time_bucket = r.time_bucket)),
whole AS (
    SELECT metric_type, time_bucket FROM day_receipts d
     WHERE NOT EXISTS (SELECT FROM hour_marks m WHERE m.metric_type = d.metric_type AND m.time_bucket >= d.time_bucket
                          AND m.time_bucket < d.time_bucket + interval '24 hours')),
raw AS (
    SELECT 'performance' AS metric_type, "timestamp" AS at FROM performance_metrics, line WHERE "timestamp" >= purged_before
    UNION ALL SELECT 'usage', "timestamp" FROM usage_events, line WHERE "timestamp" >= purged_before),
unaggregated AS (SELECT count(*) AS n FROM raw LEFT JOIN closed c ON c.metric_type = raw.metric_type AND c.time_bucket = date_trunc('hour', at, 'UTC') WHERE c.time_bucket IS NULL),
hours AS (SELECT sum(sample_count) AS n FROM aggregated_totals t JOIN closed USING (metric_type, time_bucket) WHERE resolution = 'hour'),
keys AS (SELECT sum(sample_count) AS n FROM aggregated_metrics JOIN closed USING (metric_type, time_bucket)),
days AS (SELECT sum(sample_count) AS n FROM aggregated_days JOIN whole USING (metric_type, time_bucket)),
rest AS (
    SELECT sum(sample_count) AS n FROM aggregated_totals t JOIN closed USING (metric_type, time_bucket)
     WHERE resolution = 'hour' AND NOT EXISTS (SELECT FROM whole w WHERE w.metric_type = t.metric_type AND w.time_bucket = date_trunc('day', t.time_bucket, 'UTC')))
SELECT unaggregated.n + coalesce(hours.n, 0), unaggregated.n + coalesce(keys.n, 0), unaggregated.n + coalesce(days.n, 0) + coalesce(rest.n, 0)
  FROM unaggregated, hours, keys, days, rest`

func TestReaders(t *testing.T) {
	t.Parallel()

	t.Run("never see a total that drops, doubles or skips while writers and runs work", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.prepare(start.Add(-8*24*time.Hour), start.Add(4*24*time.Hour))
		w.store(w.make(300, start.Add(-7*24*time.Hour), start))
		const rounds = 12
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()

		var wg sync.WaitGroup
		wg.Go(func() { // a writer: new rows and late ones
			for range rounds * 8 {
				now := w.clock.Now()
				if _, err := write(ctx, w.pool, w.make(4, now.Add(-6*24*time.Hour), now)); err != nil {
					t.Errorf("writer: %v", err)
				}
			}
		})
		wg.Go(func() { // the aggregator, half a day at a time
			r := w.newRunner(testkit.Logger(t))
			for range rounds {
				w.clock.Advance(6 * time.Hour)
				if run, err := r.Once(ctx, aggregate.Request{Trigger: aggregate.TriggerCommand}); err != nil || len(run.Failures) > 0 {
					t.Errorf("run: %v %v", err, run.Failures)
				}
			}
		})
		finished := make(chan struct{})
		go func() { wg.Wait(); close(finished) }()
		for ended := false; !ended; {
			select {
			case <-finished:
				ended = true
			default:
			}
			w.requireCensus()
		}
		w.settled()
		w.requireReference()
		require.Positive(t, scan[int](w, `SELECT count(*) FROM day_receipts`))
		require.Less(t, scan[int64](w, `SELECT count(*) FROM performance_metrics`), scan[int64](w, `SELECT count(*) FROM all_performance`))
	})
}

// requireCensus compares, in one snapshot, the three ways of counting with the
// number of rows ever stored.
func (w *world) requireCensus() {
	w.t.Helper()
	var stored, byTotals, byKeys, byDays int64
	require.NoError(w.t, postgres.Snapshot(w.t.Context(), w.pool, func(tx pgx.Tx) error {
		if err := tx.QueryRow(w.t.Context(), `SELECT (SELECT count(*) FROM all_performance) + (SELECT count(*) FROM all_usage)`).Scan(&stored); err != nil {
			return err
		}
		return tx.QueryRow(w.t.Context(), census).Scan(&byTotals, &byKeys, &byDays)
	}))
	require.Equal(w.t, []int64{stored, stored, stored}, []int64{byTotals, byKeys, byDays})
}
