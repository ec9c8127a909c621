package history

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/stats"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// RequestTally is what a set of requests adds up to. Its percentiles come from
// the histogram until they are looked up exactly, see sharpen.
type RequestTally struct {
	N, Errors, anonymous int64
	sum, Min, Max        float64 // milliseconds; 0 without requests
	percentiles          []float64
	histogram            stats.Histogram
}

// quantiles are the percentiles every answer gives: p50, p95 and p99.
var quantiles = []float64{0.5, 0.95, 0.99}

// percentileNames and samplesNeeded are the names of the quantiles and the fewest
// values from which each may be told: below that one value more or less moves it
// from end to end.
var (
	percentileNames = []string{"p50", "p95", "p99"}
	samplesNeeded   = []int64{3, 20, 100}
)

// InsufficientSamples lists those of the first percentiles (p50, p95, p99) that n
// values are too few for, nil when none.
func InsufficientSamples(n int64, percentiles int) *api.InsufficientSamples {
	var list api.InsufficientSamples
	for i := range percentiles {
		if n < samplesNeeded[i] {
			list = append(list, percentileNames[i])
		}
	}
	if list == nil {
		return nil
	}
	return &list
}

func (t *RequestTally) Avg() float64 { return ratio(t.sum, float64(t.N)) }

func (t *RequestTally) ErrorRate() float64 { return ratio(float64(t.Errors), float64(t.N)) }

// Percentile returns the i-th of the measured percentiles, 0 without requests.
func (t *RequestTally) Percentile(i int) float64 {
	if t.percentiles != nil {
		return t.percentiles[i]
	}
	return t.histogram.Quantile(quantiles[i])
}

// merge adds another part of the same set.
func (t *RequestTally) merge(o *RequestTally) {
	t.count(o)
	t.histogram.Merge(&o.histogram)
}

func (t *RequestTally) count(o *RequestTally) {
	switch {
	case o.N == 0:
		return
	case t.N == 0:
		t.Min, t.Max = o.Min, o.Max
	default:
		t.Min, t.Max = min(t.Min, o.Min), max(t.Max, o.Max)
	}
	t.N, t.Errors, t.anonymous, t.sum = t.N+o.N, t.Errors+o.Errors, t.anonymous+o.anonymous, t.sum+o.sum
}

func (t *RequestTally) reset() {
	t.histogram.Reset()
	*t = RequestTally{histogram: t.histogram}
}

// ratio is part/whole, and 0 of nothing.
func ratio(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}

func (t *RequestTally) Metrics(users int64) api.PerformanceMetrics {
	return api.PerformanceMetrics{
		AvgResponseTimeMs: t.Avg(),
		MinResponseTimeMs: t.Min,
		MaxResponseTimeMs: t.Max,
		P50ResponseTimeMs: t.Percentile(0),
		P95ResponseTimeMs: t.Percentile(1),
		P99ResponseTimeMs: t.Percentile(2),
		TotalRequests:     t.N,
		ErrorCount:        t.Errors,
		ErrorRate:         t.ErrorRate(),
		ActiveUsers:       users,
		AnonymousRequests: t.anonymous,

		InsufficientSamples: t.InsufficientSamples(),
	}
}

// InsufficientSamples lists the percentiles that the requests are too few for, nil when none.
func (t *RequestTally) InsufficientSamples() *api.InsufficientSamples {
	return InsufficientSamples(t.N, len(quantiles))
}

// fill writes the tally into a point.
func (t *RequestTally) fill(p *api.DataPoint) {
	n, errors, avg, rate := t.N, t.Errors, t.Avg(), t.ErrorRate()
	p50, p95, p99 := t.Percentile(0), t.Percentile(1), t.Percentile(2)
	p.AvgResponseTimeMs, p.ErrorRate, p.TotalRequests, p.ErrorCount = &avg, &rate, &n, &errors
	p.P50ResponseTimeMs, p.P95ResponseTimeMs, p.P99ResponseTimeMs = &p50, &p95, &p99
	p.InsufficientSamples = t.InsufficientSamples()
}

// EndpointKey is what requests are told apart by.
type EndpointKey struct{ App, Endpoint, Method string }

// TallyEndpoints tallies the requests of the view, in all and per endpoint.
func (v *View) TallyEndpoints(ctx context.Context, tx pgx.Tx, f snapshot.Filter) (total *RequestTally, byEndpoint map[EndpointKey]*RequestTally, err error) {
	err = v.retryOnRaw(func() error {
		total, byEndpoint, err = tallyEndpoints(ctx, tx, v.PlanWhole(event.KindPerformance), f)
		if err != nil || !v.exactPercentiles {
			return err
		}
		return findEndpointPercentiles(ctx, tx, v.rawSpans(), f, total, byEndpoint)
	})
	return total, byEndpoint, err
}

// TallyRequests tallies the requests of the view.
func (v *View) TallyRequests(ctx context.Context, tx pgx.Tx, f snapshot.Filter) (total *RequestTally, err error) {
	err = v.retryOnRaw(func() error {
		total, err = tallyRequests(ctx, tx, v.PlanWhole(event.KindPerformance), f)
		if err != nil || !v.exactPercentiles {
			return err
		}
		return findExactPercentiles(ctx, tx, v.rawSpans(), f, []*RequestTally{total})
	})
	return total, err
}

// tallyEndpoints tallies the requests of a reading, in all and per endpoint.
func tallyEndpoints(ctx context.Context, tx pgx.Tx, r Plan, f snapshot.Filter) (*RequestTally, map[EndpointKey]*RequestTally, error) {
	total, byEndpoint := new(RequestTally), map[EndpointKey]*RequestTally{}
	st := mergeable(tablesByKey, r, f, endpointColumns...)
	var k EndpointKey
	err := collectParts(ctx, tx, st, "tally endpoints", []any{&k.App, &k.Endpoint, &k.Method}, func(p *requestPart) error {
		if byEndpoint[k] == nil {
			byEndpoint[k] = new(RequestTally)
		}
		return byEndpoint[k].add(p)
	})
	for _, t := range byEndpoint {
		total.merge(t)
	}
	return total, byEndpoint, err
}

// tallyRequests tallies the requests of a reading.
func tallyRequests(ctx context.Context, tx pgx.Tx, r Plan, f snapshot.Filter) (*RequestTally, error) {
	total := new(RequestTally)
	st := mergeable(smallestTables(event.KindPerformance, f), r, f)
	return total, collectParts(ctx, tx, st, "tally requests", nil, total.add)
}

// findEndpointPercentiles gives the total and each endpoint its exact percentiles.
func findEndpointPercentiles(ctx context.Context, tx pgx.Tx, spans []snapshot.Span, f snapshot.Filter, total *RequestTally, byEndpoint map[EndpointKey]*RequestTally) error {
	keys := slices.Collect(maps.Keys(byEndpoint))
	sets := []*RequestTally{total}
	for _, k := range keys {
		sets = append(sets, byEndpoint[k])
	}
	return findExactPercentiles(ctx, tx, spans, f, sets, keys...)
}

// tallyRequestsOver tells each the requests of every bucket in order. The tally
// is only good until each returns.
func tallyRequestsOver(ctx context.Context, tx pgx.Tx, r Plan, f snapshot.Filter, b Buckets, each func(time.Time, *RequestTally)) error {
	st := mergeable(smallestTables(event.KindPerformance, f), r, f, b.keyColumn()).Add(` ORDER BY 1`)
	var bucket, at time.Time
	var current RequestTally
	flush := func() {
		if current.N > 0 {
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
func tallyRequestsExactly(ctx context.Context, tx pgx.Tx, sp snapshot.Span, f snapshot.Filter, b Buckets, each func(time.Time, *RequestTally)) error {
	var starts, from, to []time.Time
	for at := sp.From; at.Before(sp.To); {
		start := b.of(at)
		end := earlier(b.end(start), sp.To)
		starts, from, to = append(starts, start), append(from, at), append(to, end)
		at = end
	}
	var st snapshot.Statement
	st.Add(`SELECT bucket.starts, t.* FROM unnest(?::timestamptz[], ?::timestamptz[], ?::timestamptz[]) AS bucket(starts, lower, upper),
		LATERAL (SELECT count(*) AS n, count(*) FILTER (WHERE status_code >= 400), count(*) FILTER (WHERE user_id IS NULL),
			sum(response_time_ms), min(response_time_ms), max(response_time_ms),
			percentile_disc(?::float8[]) WITHIN GROUP (ORDER BY response_time_ms) FROM performance_metrics
			WHERE "timestamp" >= bucket.lower AND "timestamp" < bucket.upper AND `, starts, from, to, quantiles).
		Within([]snapshot.Span{sp}).MatchRequests(f).Add(`) AS t WHERE t.n > 0 ORDER BY 1`)
	return snapshot.Collect(ctx, tx, &st, "tally requests over time", func(rows pgx.Rows) error {
		var bucket time.Time
		var t RequestTally
		err := rows.Scan(&bucket, &t.N, &t.Errors, &t.anonymous, &t.sum, &t.Min, &t.Max, &t.percentiles)
		each(bucket, &t)
		return err
	})
}
