package query

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// trendSlices cuts a range into about 24 equal pieces for the sparklines.
type trendSlices struct {
	from  time.Time
	width time.Duration
	n     int
}

// slices returns slices that aggregates can fill: beyond half a day, and where
// there is nothing else, whole hours; from some weeks on whole UTC days.
func (v *view) slices() trendSlices {
	length := v.to.Sub(v.from)
	width := length / 24
	switch {
	case length <= day/2 && !v.from.Before(v.cover.purged):
		return countSlices(v.from, v.to, max(roundUp(width, time.Second), time.Second))
	case length < 24*day:
		return countSlices(v.from.Truncate(time.Hour), v.to, roundUp(width, time.Hour))
	}
	return countSlices(v.from.Truncate(day), v.to, roundUp(width, day))
}

func countSlices(from, to time.Time, width time.Duration) trendSlices {
	return trendSlices{from: from, width: width, n: int(roundUp(to.Sub(from), width) / width)}
}

func roundUp(d, unit time.Duration) time.Duration { return (d + unit - 1).Truncate(unit) }

func (c trendSlices) of(t time.Time) int { return min(max(0, int(t.Sub(c.from)/c.width)), c.n-1) }

// sliced is how the range is read to fill slices.
func (v *view) sliced(cut trendSlices) reading {
	p := v.prefer
	p.noDays = cut.width%day != 0
	p.split = cut.cuts
	return v.cover.plan(event.KindPerformance, v.from, v.to, p)
}

// cuts reports whether a slice begins inside of an hour.
func (c trendSlices) cuts(hour time.Time) bool {
	into := hour.Sub(c.from) % c.width
	if into < 0 {
		into += c.width
	}
	return into != 0 && into+time.Hour > c.width
}

// trends counts the requests of each endpoint per slice.
func (v *view) trends(ctx context.Context, tx pgx.Tx, f filter, cut trendSlices) (map[endpointKey][]int64, error) {
	r := v.sliced(cut)
	var st statement
	some := selectTrends(&st, f, r, cut)
	if len(r.raw) > 0 {
		if some {
			st.add(` UNION ALL `)
		}
		st.add(`SELECT app, endpoint, method, date_bin(?::interval, "timestamp", ?), count(*) FROM performance_metrics WHERE `, cut.width, cut.from).
			within(r.raw).requestsOf(f).add(` GROUP BY 1, 2, 3, 4`)
	}
	trends := map[endpointKey][]int64{}
	err := collect(ctx, tx, &st, "count trends", func(rows pgx.Rows) error {
		var k endpointKey
		var at time.Time
		var n int64
		if err := rows.Scan(&k.app, &k.endpoint, &k.method, &at, &n); err != nil {
			return err
		}
		if trends[k] == nil {
			trends[k] = make([]int64, cut.n)
		}
		trends[k][cut.of(at)] += n
		return nil
	})
	return trends, err
}
