package history

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// covered makes a coverage in which some hours and days of requests are settled.
func covered(purged time.Time, hours, days []time.Time) *coverage {
	s := &aggregatedHours{hours: map[int64]int64{}, days: map[int64]int64{}}
	for _, h := range hours {
		s.hours[h.Unix()] = 1000
	}
	for _, d := range days {
		s.days[d.Unix()] = 24_000
	}
	return &coverage{purged: purged, whole: map[int64]bool{}, receipts: map[event.Kind]*aggregatedHours{event.KindPerformance: s,
		event.KindUsage: {hours: map[int64]int64{}, days: map[int64]int64{}}}}
}

// moment is a little after an hour.
var moment = time.Date(2026, 3, 18, 14, 7, 30, 0, time.UTC)

// before returns the time d before the moment.
func before(d time.Duration) time.Time { return moment.Add(-d) }

// between is a span.
func between(from, to time.Time) snapshot.Span { return snapshot.Span{From: from, To: to} }

func at(day, hour, minute int) time.Time {
	return time.Date(2026, 3, day, hour, minute, 0, 0, time.UTC)
}

func hoursOf(from, to time.Time) (list []time.Time) {
	for h := from; h.Before(to); h = h.Add(time.Hour) {
		list = append(list, h)
	}
	return list
}

func TestPlan(t *testing.T) {
	t.Parallel()
	aggregates := planOptions{aggregates: true}
	all := hoursOf(at(10, 0, 0), at(18, 14, 0))

	t.Run("raw at the edges, aggregates between", func(t *testing.T) {
		t.Parallel()
		r := covered(at(10, 0, 0), all, nil).plan(event.KindPerformance, at(16, 9, 20), at(18, 14, 7), aggregates)
		require.Equal(t, []snapshot.Span{between(at(16, 9, 20), at(16, 10, 0)), between(at(18, 14, 0), at(18, 14, 7))}, r.raw)
		require.Equal(t, []snapshot.Span{between(at(16, 10, 0), at(18, 14, 0))}, r.hours)
		require.Empty(t, r.days)
	})
	t.Run("whole days where they are summed up", func(t *testing.T) {
		t.Parallel()
		r := covered(at(10, 0, 0), all, []time.Time{at(17, 0, 0)}).plan(event.KindPerformance, at(16, 9, 0), at(18, 14, 0), aggregates)
		require.Equal(t, []snapshot.Span{between(at(17, 0, 0), at(18, 0, 0))}, r.days)
		require.Equal(t, []snapshot.Span{between(at(16, 9, 0), at(17, 0, 0)), between(at(18, 0, 0), at(18, 14, 0))}, r.hours)
		require.Empty(t, r.raw)
	})
	t.Run("raw for an hour that is not settled, and its day in hours", func(t *testing.T) {
		t.Parallel()
		c := covered(at(10, 0, 0), all, []time.Time{at(17, 0, 0)})
		delete(c.receipts[event.KindPerformance].hours, at(17, 5, 0).Unix())
		r := c.plan(event.KindPerformance, at(17, 0, 0), at(18, 0, 0), aggregates)
		require.Equal(t, []snapshot.Span{between(at(17, 5, 0), at(17, 6, 0))}, r.raw)
		require.Equal(t, []snapshot.Span{between(at(17, 0, 0), at(17, 5, 0)), between(at(17, 6, 0), at(18, 0, 0))}, r.hours)
		require.Empty(t, r.days)
	})
	t.Run("raw wherever there is any when that is asked for", func(t *testing.T) {
		t.Parallel()
		r := covered(at(12, 0, 0), all, []time.Time{at(11, 0, 0), at(13, 0, 0)}).plan(event.KindPerformance, at(11, 0, 0), at(14, 0, 0), planOptions{})
		require.Equal(t, []snapshot.Span{between(at(11, 0, 0), at(12, 0, 0))}, r.days)
		require.Equal(t, []snapshot.Span{between(at(12, 0, 0), at(14, 0, 0))}, r.raw)
	})
	t.Run("the kinds are apart", func(t *testing.T) {
		t.Parallel()
		r := covered(at(10, 0, 0), all, nil).plan(event.KindUsage, at(16, 9, 0), at(16, 10, 0), aggregates)
		require.Empty(t, r.hours)
	})
	t.Run("an hour that midnight cuts is raw unless its aggregate is cut there too", func(t *testing.T) {
		t.Parallel()
		india, err := time.LoadLocation("Asia/Kolkata")
		require.NoError(t, err)
		b := newBuckets(api.IntervalDaily, at(16, 0, 0), at(17, 0, 0), india)
		p := aggregates
		c := covered(at(10, 0, 0), all, nil)
		p.split = func(hour time.Time) bool { return b.cuts(hour, c.partStart) }
		require.Empty(t, c.plan(event.KindPerformance, at(16, 0, 0), at(17, 0, 0), p).raw)
		c.whole[at(16, 18, 0).Unix()] = true
		require.Equal(t, []snapshot.Span{between(at(16, 18, 0), at(16, 19, 0))}, c.plan(event.KindPerformance, at(16, 0, 0), at(17, 0, 0), p).raw)
	})
	t.Run("edges move outwards where only aggregates are", func(t *testing.T) {
		t.Parallel()
		c := covered(at(12, 0, 0), nil, nil)
		from, to := c.align(at(11, 9, 20), at(11, 10, 1))
		require.Equal(t, []time.Time{at(11, 9, 0), at(11, 10, 15)}, []time.Time{from, to})
		c.whole[at(11, 10, 0).Unix()] = true
		_, to = c.align(at(11, 9, 20), at(11, 10, 1))
		require.Equal(t, at(11, 11, 0), to)
		from, to = c.align(at(11, 9, 20), at(12, 0, 0))
		require.Equal(t, []time.Time{at(11, 9, 0), at(12, 0, 0)}, []time.Time{from, to})
		from, to = c.align(at(12, 0, 20), at(12, 0, 30))
		require.Equal(t, []time.Time{at(12, 0, 20), at(12, 0, 30)}, []time.Time{from, to})
	})
}

// Whatever is settled, every moment of a range is answered from exactly one place.
func TestPlanHasNoHoleAndNoOverlap(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		var hours, days []time.Time
		for _, h := range hoursOf(at(8, 0, 0), at(19, 0, 0)) {
			if r.IntN(10) > 0 {
				hours = append(hours, h)
			}
			if h.Hour() == 0 && r.IntN(3) > 0 {
				days = append(days, h)
			}
		}
		c := covered(at(8+r.IntN(10), r.IntN(24), 0), hours, days)
		from := at(8, 0, 0).Add(time.Duration(r.Int64N(int64(9 * Day))))
		from, to := c.align(from, from.Add(time.Duration(1+r.Int64N(int64(3*Day)))))
		p := planOptions{aggregates: r.IntN(3) > 0, noDays: r.IntN(2) > 0}
		got := c.plan(event.KindPerformance, from, to, p)
		var covers time.Duration
		var parts []snapshot.Span
		for _, spans := range [][]snapshot.Span{got.raw, got.hours, got.days} {
			parts = append(parts, spans...)
		}
		for i, s := range parts {
			require.True(t, s.From.Before(s.To))
			require.False(t, s.From.Before(from) || s.To.After(to))
			covers += s.To.Sub(s.From)
			for _, other := range parts[i+1:] {
				require.True(t, !s.From.Before(other.To) || !other.From.Before(s.To), "%v and %v overlap", s, other)
			}
		}
		require.Equal(t, to.Sub(from), covers)
		for _, s := range got.raw {
			require.False(t, s.From.Before(c.purged), "raw rows below the purge line")
		}
	}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	zone := func(name string) *time.Location {
		loc, err := time.LoadLocation(name)
		require.NoError(t, err)
		return loc
	}
	length := func(b Buckets, i int) time.Duration { return b.end(b.starts[i]).Sub(b.starts[i]) }

	t.Run("a day of a clock change has 23 or 25 hours", func(t *testing.T) {
		t.Parallel()
		spring := newBuckets(api.IntervalDaily, at(28, 12, 0), at(30, 12, 0), zone("Europe/Berlin"))
		require.Equal(t, []time.Duration{24 * time.Hour, 23 * time.Hour, 24 * time.Hour}, []time.Duration{length(spring, 0), length(spring, 1), length(spring, 2)})
		autumn := newBuckets(api.IntervalDaily, time.Date(2025, 10, 26, 9, 0, 0, 0, time.UTC), time.Date(2025, 10, 26, 10, 0, 0, 0, time.UTC), zone("Europe/Berlin"))
		require.Equal(t, 25*time.Hour, length(autumn, 0))
	})
	t.Run("a day without a midnight begins at its first moment", func(t *testing.T) {
		t.Parallel()
		b := newBuckets(api.IntervalDaily, time.Date(2025, 9, 7, 12, 0, 0, 0, time.UTC), time.Date(2025, 9, 8, 12, 0, 0, 0, time.UTC), zone("America/Santiago"))
		require.Equal(t, "2025-09-07T01:00:00-03:00", b.starts[0].In(zone("America/Santiago")).Format(time.RFC3339))
		require.Equal(t, 23*time.Hour, length(b, 0))
	})
	t.Run("UTC days are the days of aggregates", func(t *testing.T) {
		t.Parallel()
		require.True(t, newBuckets(api.IntervalDaily, at(1, 0, 0), at(9, 5, 0), time.UTC).utcDays())
		require.False(t, newBuckets(api.IntervalDaily, at(1, 0, 0), at(9, 5, 0), zone("Europe/Berlin")).utcDays())
	})
}

func TestTrendSlices(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]time.Duration{"a second": time.Second, "an hour": time.Hour, "half a day": Day / 2, "a day": Day,
		"25 hours": 25 * time.Hour, "a week": 7 * Day, "24 days": 24 * Day, "90 days": 90 * Day} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := Range{Name: api.RangeNameCustom, Start: before(length), End: moment}
			v := newView(covered(time.Time{}, nil, nil), rng, false, moment)
			cut := v.TrendSlices()
			require.LessOrEqual(t, cut.N, 64)
			require.GreaterOrEqual(t, cut.N, 1)
			require.False(t, cut.from.After(v.from))
			require.False(t, cut.from.Add(time.Duration(cut.N)*cut.Width).Before(v.to))
			require.Equal(t, cut.N-1, cut.of(v.to.Add(-1)))
			if length > Day {
				require.Zero(t, cut.Width%time.Hour)
				require.False(t, cut.cuts(v.from.Truncate(time.Hour).Add(5*time.Hour)))
			}
		})
	}
}

func TestLastRows(t *testing.T) {
	t.Parallel()
	c := covered(at(10, 0, 0), hoursOf(at(10, 0, 0), at(18, 14, 0)), nil) // 1000 rows an hour
	rng := Range{Name: api.RangeNameCustom, Start: before(40 * Day), End: moment}
	v := newView(c, rng, false, moment)
	require.Equal(t, []snapshot.Span{between(at(18, 4, 0), moment)}, v.LastRows(10_000), "ten hours and the open one")
	require.Equal(t, []snapshot.Span{between(at(18, 13, 0), moment)}, v.LastRows(10), "never less than an hour")
	require.Equal(t, []snapshot.Span{between(at(10, 0, 0), moment)}, v.LastRows(1_000_000), "all there is")
	old := Range{Name: api.RangeNameCustom, Start: before(40 * Day), End: before(30 * Day)}
	require.Empty(t, newView(c, old, false, moment).LastRows(10))
}
