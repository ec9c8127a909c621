package aggregate_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services/aggregate"
)

// step is one of the steps of a run's transactions: the n-th of its name.
type step struct {
	name string
	n    int
}

func (s step) String() string { return fmt.Sprintf("%s, %d", s.name, s.n) }

// steps does a run in the situation aDay and returns the first step of each name
// and one of those in the middle: every statement, in two transactions.
func steps(t *testing.T) []step {
	t.Helper()
	w := aDay(t)
	var mu sync.Mutex
	seen := map[string]int{}
	aggregate.SetHook(w.runner, func(_ context.Context, name string) error {
		mu.Lock()
		defer mu.Unlock()
		seen[name]++
		return nil
	})
	w.run()
	var out []step
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		out = append(out, step{name, 1})
		if seen[name] > 2 {
			out = append(out, step{name, seen[name]/2 + 1})
		}
	}
	return out
}

// counter counts the steps of a name and tells when one is reached.
type counter struct {
	mu   sync.Mutex
	at   step
	seen int
}

func (c *counter) reached(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if name != c.at.name {
		return false
	}
	c.seen++
	return c.seen == c.at.n
}

// aDay is a situation with work of every kind: hours to aggregate, days to sum
// up, hours to purge, and a day of aggregates to forget.
func aDay(t *testing.T) *world {
	t.Helper()
	w := setupWith(t, dayConfig())
	w.prepare(start.Add(-3*24*time.Hour), start)
	w.prepareDump()
	w.store(w.make(20, tooOld(), tooOld().Add(2*time.Hour)))
	w.store(w.make(20, start.Add(-30*time.Hour), start.Add(-28*time.Hour)))
	w.exec(`INSERT INTO hour_receipts (metric_type, time_bucket) SELECT k, $1::timestamptz FROM unnest(ARRAY['performance', 'usage']) k`,
		start.Add(-120*24*time.Hour).Truncate(time.Hour))
	return w
}

func dayConfig() aggregate.Config {
	cfg := testConfig()
	cfg.RawRetention = dayRetention
	return cfg
}

const dayRetention = 36 * time.Hour

// tooOld is a time whose rows aDay's run purges.
func tooOld() time.Time { return start.Add(-dayRetention - 2*time.Hour).Truncate(time.Hour) }

// lateFor makes rows that come late in aDay: six for hours that stay, six for
// hours that are purged.
func (w *world) lateFor() events {
	late := w.make(3, start.Add(-30*time.Hour), start.Add(-28*time.Hour))
	old := w.make(3, tooOld(), tooOld().Add(2*time.Hour))
	return events{append(late.performance, old.performance...), append(late.usage, old.usage...)}
}

func TestLateRows(t *testing.T) {
	t.Parallel()
	for _, at := range steps(t) {
		t.Run("are counted once when they come after "+at.String(), func(t *testing.T) {
			t.Parallel()
			w := aDay(t)
			late := w.lateFor()
			wrote := w.writeAt(at, late)
			w.run()
			require.GreaterOrEqual(t, testkit.Receive(t, "the late writer", wrote), 6, "rows above the line are stored")
			w.settled()
			w.requireReference()
		})
	}

	t.Run("that are inserted but not yet committed are counted once", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.prepare(start.Add(-48*time.Hour), start)
		e := w.make(30, start.Add(-36*time.Hour), start.Add(-34*time.Hour))
		w.store(e)
		w.run()
		late := w.make(5, start.Add(-36*time.Hour), start.Add(-34*time.Hour))
		tx := w.begin()
		_, err := insert(t.Context(), tx, late)
		require.NoError(t, err)
		w.rollUp()
		require.NoError(t, mark(t.Context(), tx, late))
		require.NoError(t, tx.Commit(t.Context()))
		w.settled()
		w.requireReference()
	})

	t.Run("that hold the mark make the hour wait and begin anew", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.prepare(start.Add(-48*time.Hour), start)
		w.store(w.make(30, start.Add(-36*time.Hour), start.Add(-34*time.Hour)))
		late := w.make(5, start.Add(-36*time.Hour), start.Add(-34*time.Hour))
		tx := w.begin()
		_, err := insert(t.Context(), tx, late)
		require.NoError(t, err)
		require.NoError(t, mark(t.Context(), tx, late))
		done := make(chan aggregate.Run, 1)
		go func() { done <- w.rollUp() }()
		w.awaitBlocked()
		require.NoError(t, tx.Commit(t.Context()))
		testkit.Receive(t, "the rollup", done)
		w.settled()
		w.requireReference()
	})

	t.Run("stored past the writer, without a mark, are found by the daily run", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.prepare(start.Add(-7*24*time.Hour), start)
		w.store(w.make(50, start.Add(-36*time.Hour), start.Add(-34*time.Hour)))
		w.run()
		yesterday := w.make(5, start.Add(-36*time.Hour), start.Add(-34*time.Hour)) // the hours have receipts over some rows
		empty := w.make(5, start.Add(-100*time.Hour), start.Add(-96*time.Hour))    // the hours have receipts over none
		tx := w.begin()
		for _, e := range []events{yesterday, empty} {
			_, err := insert(t.Context(), tx, e)
			require.NoError(t, err)
		}
		require.NoError(t, tx.Commit(t.Context()))
		run := w.run()
		require.Positive(t, run.HoursDiffering)
		w.requireReference()
	})
}

// writeAt has a writer store events while the runner passes a step. The runner
// goes on when the writer is done, or is blocked by the runner itself.
func (w *world) writeAt(at step, e events) <-chan int {
	wrote := make(chan int, 1)
	c := &counter{at: at}
	aggregate.SetHook(w.runner, func(_ context.Context, name string) error {
		if !c.reached(name) {
			return nil
		}
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			stored, err := write(context.Background(), w.pool, e)
			if err != nil {
				w.t.Errorf("late writer: %v", err)
			}
			wrote <- stored
		}()
		testkit.Eventually(w.t, "the late writer is done or blocked", func() bool {
			select {
			case <-finished:
				return true
			default:
				return w.blocked() > 0
			}
		})
		return nil
	})
	return wrote
}

// blocked counts the connections that wait for a lock.
func (w *world) blocked() int {
	return scan[int](w, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
}

func (w *world) awaitBlocked() {
	w.t.Helper()
	testkit.Eventually(w.t, "somebody is blocked", func() bool { return w.blocked() > 0 })
}

// settled runs, without hooks, until no hour is left to aggregate.
func (w *world) settled() {
	w.t.Helper()
	aggregate.SetHook(w.runner, nil)
	w.run()
	require.Zero(w.t, scan[int](w, `SELECT count(*) FROM hour_marks WHERE time_bucket < $1`, w.clock.Now().Truncate(time.Hour)))
}
