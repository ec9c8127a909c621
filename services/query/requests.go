package query

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/stats"
)

// requestTally is what a set of requests adds up to. Its percentiles come from
// the histogram until they are looked up exactly, see sharpen.
type requestTally struct {
	n, errors, anonymous int64
	sum, min, max        float64 // milliseconds; 0 without requests
	percentiles          []float64
	histogram            stats.Histogram
}

// measured are the percentiles every answer gives.
var measured = []float64{0.5, 0.95, 0.99}

func (t *requestTally) avg() float64 { return ratio(t.sum, float64(t.n)) }

func (t *requestTally) errorRate() float64 { return ratio(float64(t.errors), float64(t.n)) }

// percentile returns the i-th of the measured percentiles, 0 without requests.
func (t *requestTally) percentile(i int) float64 {
	if t.percentiles != nil {
		return t.percentiles[i]
	}
	return t.histogram.Quantile(measured[i])
}

// merge adds another part of the same set.
func (t *requestTally) merge(o *requestTally) {
	t.count(o)
	t.histogram.Merge(&o.histogram)
}

func (t *requestTally) count(o *requestTally) {
	switch {
	case o.n == 0:
		return
	case t.n == 0:
		t.min, t.max = o.min, o.max
	default:
		t.min, t.max = min(t.min, o.min), max(t.max, o.max)
	}
	t.n, t.errors, t.anonymous, t.sum = t.n+o.n, t.errors+o.errors, t.anonymous+o.anonymous, t.sum+o.sum
}

func (t *requestTally) reset() {
	t.histogram.Reset()
	*t = requestTally{histogram: t.histogram}
}

// ratio is part/whole, and 0 of nothing.
func ratio(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}

func (t *requestTally) metrics(users int64) api.PerformanceMetrics {
	return api.PerformanceMetrics{
		AvgResponseTimeMs: t.avg(),
		MinResponseTimeMs: t.min,
		MaxResponseTimeMs: t.max,
		P50ResponseTimeMs: t.percentile(0),
		P95ResponseTimeMs: t.percentile(1),
		P99ResponseTimeMs: t.percentile(2),
		TotalRequests:     t.n,
		ErrorCount:        t.errors,
		ErrorRate:         t.errorRate(),
		ActiveUsers:       users,
		AnonymousRequests: t.anonymous,
	}
}

// describe writes the tally into a point.
func (t *requestTally) describe(p *api.DataPoint) {
	n, errors, avg, rate := t.n, t.errors, t.avg(), t.errorRate()
	p50, p95, p99 := t.percentile(0), t.percentile(1), t.percentile(2)
	p.AvgResponseTimeMs, p.ErrorRate, p.TotalRequests, p.ErrorCount = &avg, &rate, &n, &errors
	p.P50ResponseTimeMs, p.P95ResponseTimeMs, p.P99ResponseTimeMs = &p50, &p95, &p99
}

// endpointKey is what requests are told apart by.
type endpointKey struct{ app, endpoint, method string }

// endpoints tallies the requests of the view, in all and per endpoint.
func (v *view) endpoints(ctx context.Context, tx pgx.Tx, f filter) (total *requestTally, byEndpoint map[endpointKey]*requestTally, err error) {
	err = v.evenly(func() error {
		total, byEndpoint, err = tallyEndpoints(ctx, tx, v.whole(event.KindPerformance), f)
		if err != nil || !v.sharp {
			return err
		}
		return sharpenEndpoints(ctx, tx, v.all(), f, total, byEndpoint)
	})
	return total, byEndpoint, err
}

// requests tallies the requests of the view.
func (v *view) requests(ctx context.Context, tx pgx.Tx, f filter) (total *requestTally, err error) {
	err = v.evenly(func() error {
		total, err = tallyRequests(ctx, tx, v.whole(event.KindPerformance), f)
		if err != nil || !v.sharp {
			return err
		}
		return sharpen(ctx, tx, v.all(), f, []*requestTally{total})
	})
	return total, err
}

// tallyEndpoints tallies the requests of a reading, in all and per endpoint.
func tallyEndpoints(ctx context.Context, tx pgx.Tx, r reading, f filter) (*requestTally, map[endpointKey]*requestTally, error) {
	total, byEndpoint := new(requestTally), map[endpointKey]*requestTally{}
	st := mergeable(byKey, r, f, endpointColumns...)
	var k endpointKey
	err := collectParts(ctx, tx, st, "tally endpoints", []any{&k.app, &k.endpoint, &k.method}, func(p *requestPart) error {
		if byEndpoint[k] == nil {
			byEndpoint[k] = new(requestTally)
		}
		return byEndpoint[k].add(p)
	})
	for _, t := range byEndpoint {
		total.merge(t)
	}
	return total, byEndpoint, err
}

// tallyRequests tallies the requests of a reading.
func tallyRequests(ctx context.Context, tx pgx.Tx, r reading, f filter) (*requestTally, error) {
	total := new(requestTally)
	st := mergeable(tierOf(event.KindPerformance, f), r, f)
	return total, collectParts(ctx, tx, st, "tally requests", nil, total.add)
}

// sharpenEndpoints gives the total and each endpoint its exact percentiles.
func sharpenEndpoints(ctx context.Context, tx pgx.Tx, spans []span, f filter, total *requestTally, byEndpoint map[endpointKey]*requestTally) error {
	keys := slices.Collect(maps.Keys(byEndpoint))
	sets := []*requestTally{total}
	for _, k := range keys {
		sets = append(sets, byEndpoint[k])
	}
	return sharpen(ctx, tx, spans, f, sets, keys...)
}

// tallyRequestsOver tells each the requests of every bucket in order. The tally
// is only good until each returns.
func tallyRequestsOver(ctx context.Context, tx pgx.Tx, r reading, f filter, b buckets, each func(time.Time, *requestTally)) error {
	st := mergeable(tierOf(event.KindPerformance, f), r, f, b.keyColumn()).add(` ORDER BY 1`)
	var bucket, at time.Time
	var current requestTally
	flush := func() {
		if current.n > 0 {
			each(at, &current)
		}
		current.reset()
	}
	err := collectParts(ctx, tx, st, "tally requests over time", []any{&bucket}, func(p *requestPart) error {
		if !bucket.Equal(at) {
			flush()
			at = bucket
		}
		return current.add(p)
	})
	flush()
	return err
}

// tallyRequestsExactly is tallyRequestsOver with exact percentiles, from raw
// rows alone. Buckets are many and small, and sorting within them costs less
// than finding out first where to look. Each bucket is read by itself along the
// key, which is in the order of time: grouping would first sort all rows.
func tallyRequestsExactly(ctx context.Context, tx pgx.Tx, sp span, f filter, b buckets, each func(time.Time, *requestTally)) error {
	var starts, from, to []time.Time
	for at := sp.from; at.Before(sp.to); {
		start := b.of(at)
		end := earlier(b.end(start), sp.to)
		starts, from, to = append(starts, start), append(from, at), append(to, end)
		at = end
	}
	var st statement
	st.add(`SELECT bucket.starts, t.* FROM unnest(?::timestamptz[], ?::timestamptz[], ?::timestamptz[]) AS bucket(starts, lower, upper),
		LATERAL (SELECT count(*) AS n, count(*) FILTER (WHERE status_code >= 400), count(*) FILTER (WHERE user_id IS NULL),
			sum(response_time_ms), min(response_time_ms), max(response_time_ms),
			percentile_cont(?::float8[]) WITHIN GROUP (ORDER BY response_time_ms) FROM performance_metrics
			WHERE "timestamp" >= bucket.lower AND "timestamp" < bucket.upper AND `, starts, from, to, measured).
		within([]span{sp}).requestsOf(f).add(`) AS t WHERE t.n > 0 ORDER BY 1`)
	return collect(ctx, tx, &st, "tally requests over time", func(rows pgx.Rows) error {
		var bucket time.Time
		var t requestTally
		err := rows.Scan(&bucket, &t.n, &t.errors, &t.anonymous, &t.sum, &t.min, &t.max, &t.percentiles)
		each(bucket, &t)
		return err
	})
}
