package demo

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var now = time.Date(2026, 3, 11, 12, 30, 0, 0, time.UTC)

func testWorld(seed uint64) *world {
	today := now.Truncate(24 * time.Hour)
	return newWorld(seed, today.AddDate(0, 0, -89), today)
}

func (w *world) wholeDay(ago, requests int) batch {
	day := w.today.AddDate(0, 0, -ago)
	return w.day(day, day.AddDate(0, 0, 1), requests)
}

func TestDay(t *testing.T) {
	t.Parallel()

	t.Run("is the same for the same seed, and another for another", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, testWorld(7).wholeDay(20, 2000), testWorld(7).wholeDay(20, 2000))
		require.NotEqual(t, testWorld(7).wholeDay(20, 2000), testWorld(8).wholeDay(20, 2000))
	})

	t.Run("holds what ingest would accept", func(t *testing.T) {
		t.Parallel()
		b := testWorld(1).wholeDay(3, 5000)
		window := event.WindowAt(now, 168*time.Hour)
		ids := map[string]bool{}
		for i := range b.requests {
			require.Nil(t, b.requests[i].Validate(window))
			ids[b.requests[i].ID.String()] = true
		}
		for i := range b.events {
			require.Nil(t, b.events[i].Validate(window))
			ids[b.events[i].ID.String()] = true
		}
		require.Len(t, ids, len(b.requests)+len(b.events))
	})

	t.Run("has about the requests asked for, fewer at weekends and none after its end", func(t *testing.T) {
		t.Parallel()
		w := testWorld(1)
		wednesday, sunday := w.wholeDay(7, 20_000), w.wholeDay(10, 20_000)
		require.Equal(t, time.Wednesday, wednesday.requests[0].Timestamp.Weekday())
		require.Equal(t, time.Sunday, sunday.requests[0].Timestamp.Weekday())
		require.InEpsilon(t, 20_000, len(wednesday.requests), 0.1)
		require.InEpsilon(t, 20_000*0.33, len(sunday.requests), 0.15)
		part := w.day(w.today, now, 20_000)
		last := part.requests[len(part.requests)-1].Timestamp
		require.True(t, last.Before(now) && last.After(now.Add(-10*time.Minute)))
		require.Less(t, part.events[len(part.events)-1].Timestamp, now)
	})

	t.Run("knows 40 endpoints with long tails and 300 users", func(t *testing.T) {
		t.Parallel()
		w := testWorld(1)
		endpoints, users := map[string][]float64{}, map[string]bool{}
		for ago := 20; ago < 27; ago++ {
			for _, p := range w.wholeDay(ago, 20_000).requests {
				key := fmt.Sprint(p.App, p.Method, p.Endpoint)
				endpoints[key] = append(endpoints[key], p.ResponseTimeMS)
				users[p.UserID] = true
			}
		}
		require.Len(t, endpoints, 40)
		require.Greater(t, len(users), 280)
		for key, times := range endpoints {
			slices.Sort(times)
			require.Greater(t, times[len(times)*99/100], 2*times[len(times)/2], key)
		}
	})

	t.Run("has clicks whose requests follow", func(t *testing.T) {
		t.Parallel()
		b := testWorld(1).wholeDay(15, 5000)
		clicks := map[string]event.Usage{}
		for _, u := range b.events {
			clicks[u.InteractionID] = u
		}
		followed := 0
		for _, p := range b.requests {
			if p.InteractionID == "" {
				require.Empty(t, p.UserID)
				continue
			}
			click, known := clicks[p.InteractionID]
			require.True(t, known)
			require.Equal(t, click.UserID, p.UserID)
			require.False(t, p.Timestamp.Before(click.Timestamp))
			followed++
		}
		require.Greater(t, followed, len(b.requests)*3/4)
	})

	t.Run("has an outage, and a release that is slow until it is mended", func(t *testing.T) {
		t.Parallel()
		w := testWorld(1)
		errors, total := 0, 0
		for _, p := range w.wholeDay(3, 20_000).requests {
			if p.App == "orders" && !p.Timestamp.Before(w.outage) && p.Timestamp.Before(w.healed) {
				total++
				if p.IsError() {
					errors++
				}
			}
		}
		require.Greater(t, errors, total/2)

		slow := func(ago int) (median float64, versions map[string]bool) {
			versions = map[string]bool{}
			var times []float64
			for _, p := range w.wholeDay(ago, 20_000).requests {
				if p.Endpoint == "/api/v1/orders/search" {
					times = append(times, p.ResponseTimeMS)
					versions[p.AppVersion] = true
				}
			}
			slices.Sort(times)
			return times[len(times)/2], versions
		}
		before, old := slow(12)
		during, bad := slow(8)
		after, mended := slow(5)
		require.Greater(t, during, 2.5*before)
		require.InEpsilon(t, before, after, 0.3)
		require.NotEqual(t, old, bad)
		require.NotEqual(t, bad, mended)
	})
}

func TestRun(t *testing.T) {
	t.Parallel()
	cfg := postgres.DefaultConfig()
	cfg.URL = testkit.Database(t)
	pool, err := postgres.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	count := func(sql string, args ...any) (n int) {
		require.NoError(t, pool.QueryRow(t.Context(), sql, args...).Scan(&n))
		return n
	}
	_, err = pool.Exec(t.Context(), `UPDATE purge_line SET purged_before = $1`, now.Add(-7*24*time.Hour)) // as a first, empty run leaves it
	require.NoError(t, err)

	var aggregated []time.Time
	o := DefaultOptions(now)
	o.Days, o.RequestsPerDay = 10, 300
	o.Aggregate = func(_ context.Context, at time.Time) error { aggregated = append(aggregated, at); return nil }
	steps := 0
	o.Progress = func(p Progress) { steps++; require.Equal(t, steps, p.Done) }
	progress, err := Run(t.Context(), pool, o)
	require.NoError(t, err)
	require.Equal(t, 10, steps)
	require.EqualValues(t, count(`SELECT count(*) FROM performance_metrics`), progress.Requests)
	require.EqualValues(t, count(`SELECT count(*) FROM usage_events`), progress.Events)
	require.Equal(t, 10*24*2, count(`SELECT count(*) FROM hour_marks`))
	require.Len(t, aggregated, 10)
	require.Equal(t, now, aggregated[9])
	require.True(t, slices.IsSortedFunc(aggregated, time.Time.Compare))

	_, err = Run(t.Context(), pool, o)
	require.Equal(t, fault.Conflict, fault.CodeOf(err), "a second demo is refused")

	_, err = pool.Exec(t.Context(), `TRUNCATE performance_metrics, usage_events;
		INSERT INTO aggregate_totals (resolution, metric_type, starts_at, app, sample_count) VALUES ('hour', 'usage', '2026-01-01 00:00+00', 'mine', 1)`)
	require.NoError(t, err)
	_, err = Run(t.Context(), pool, o)
	require.Equal(t, fault.Conflict, fault.CodeOf(err), "real history is not touched")

	require.Error(t, Options{}.Validate())
}
