package history

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// TrendSlices cuts a range into about 24 equal pieces for the sparklines.
type TrendSlices struct {
	from  time.Time
	Width time.Duration
	N     int
}

// TrendSlices returns slices that aggregates can fill: beyond half a day, and where
// there is nothing else, whole hours; from some weeks on whole UTC days.
func (v *View) TrendSlices() TrendSlices {
	length := v.to.Sub(v.from)
	width := length / 24
	switch {
	case length <= Day/2 && !v.from.Before(v.coverage.purged):
		return countSlices(v.from, v.to, max(roundUp(width, time.Second), time.Second))
	case length < 24*Day:
		return countSlices(v.from.Truncate(time.Hour), v.to, roundUp(width, time.Hour))
	}
	return countSlices(v.from.Truncate(Day), v.to, roundUp(width, Day))
}

func countSlices(from, to time.Time, width time.Duration) TrendSlices {
	return TrendSlices{from: from, Width: width, N: int(roundUp(to.Sub(from), width) / width)}
}

func roundUp(d, unit time.Duration) time.Duration { return (d + unit - 1).Truncate(unit) }

func (c TrendSlices) of(t time.Time) int { return min(max(0, int(t.Sub(c.from)/c.Width)), c.N-1) }

// planSlices is how the range is read to fill slices.
func (v *View) planSlices(cut TrendSlices) Plan {
	p := v.prefer
	p.noDays = cut.Width%Day != 0
	p.split = cut.cuts
	return v.coverage.plan(event.KindPerformance, v.from, v.to, p)
}

// cuts reports whether a slice begins inside of an hour. Such an hour is read from
// raw rows: its aggregate would count the whole hour in one slice.
func (c TrendSlices) cuts(hour time.Time) bool {
	if c.Width < time.Hour {
		return true
	}
	into := hour.Sub(c.from) % c.Width
	if into < 0 {
		into += c.Width
	}
	return into != 0 && into+time.Hour > c.Width
}

// CountTrends counts the requests of each endpoint per slice.
func (v *View) CountTrends(ctx context.Context, tx pgx.Tx, f snapshot.Filter, cut TrendSlices) (map[EndpointKey][]int64, error) {
	r := v.planSlices(cut)
	var st snapshot.Statement
	some := selectTrends(&st, f, r, cut)
	if len(r.raw) > 0 {
		if some {
			st.Add(` UNION ALL `)
		}
		st.Add(`SELECT app, endpoint, method, date_bin(?::interval, "timestamp", ?), count(*) FROM performance_metrics WHERE `, cut.Width, cut.from).
			Within(r.raw).MatchRequests(f).Add(` GROUP BY 1, 2, 3, 4`)
	}
	trends := map[EndpointKey][]int64{}
	err := snapshot.Collect(ctx, tx, &st, "count trends", func(rows pgx.Rows) error {
		var k EndpointKey
		var at time.Time
		var n int64
		if err := rows.Scan(&k.App, &k.Endpoint, &k.Method, &at, &n); err != nil {
			return err
		}
		if trends[k] == nil {
			trends[k] = make([]int64, cut.N)
		}
		trends[k][cut.of(at)] += n
		return nil
	})
	return trends, err
}
