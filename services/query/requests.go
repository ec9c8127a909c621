package query

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
)

// requestTally is what a set of requests adds up to.
type requestTally struct {
	n, errors, anonymous int64
	sum, min, max        float64 // milliseconds; 0 without requests
	percentiles          []float64
}

// measured are the percentiles every answer gives.
var measured = []float64{0.5, 0.95, 0.99}

const rawTallyColumns = `count(*), count(*) FILTER (WHERE status_code >= 400), count(*) FILTER (WHERE user_id IS NULL),
	coalesce(sum(response_time_ms), 0), coalesce(min(response_time_ms), 0), coalesce(max(response_time_ms), 0),
	percentile_cont(?::float8[]) WITHIN GROUP (ORDER BY response_time_ms)`

func (t *requestTally) targets() []any {
	return []any{&t.n, &t.errors, &t.anonymous, &t.sum, &t.min, &t.max, &t.percentiles}
}

func (t *requestTally) avg() float64 { return ratio(t.sum, float64(t.n)) }

func (t *requestTally) errorRate() float64 { return ratio(float64(t.errors), float64(t.n)) }

// percentile returns the i-th of the measured percentiles, 0 without requests.
func (t *requestTally) percentile(i int) float64 {
	if i < len(t.percentiles) {
		return t.percentiles[i]
	}
	return 0
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

// endpointKey is what requests are told apart by.
type endpointKey struct{ app, endpoint, method string }

// rawEndpoints tallies the requests of the spans, in all and per endpoint, with
// exact percentiles.
func rawEndpoints(ctx context.Context, tx pgx.Tx, spans []span, f filter) (total requestTally, byKey map[endpointKey]*requestTally, err error) {
	var st statement
	st.add(`SELECT grouping(app) = 1, coalesce(app, ''), coalesce(endpoint, ''), coalesce(method, ''), `).
		add(rawTallyColumns, measured).
		add(` FROM performance_metrics WHERE `).within(spans).requestsOf(f).
		add(` GROUP BY GROUPING SETS ((), (app, endpoint, method))`)
	byKey = map[endpointKey]*requestTally{}
	err = collect(ctx, tx, &st, "tally endpoints", func(rows pgx.Rows) error {
		var all bool
		var k endpointKey
		t := new(requestTally)
		if err := rows.Scan(append([]any{&all, &k.app, &k.endpoint, &k.method}, t.targets()...)...); err != nil {
			return err
		}
		if all {
			total = *t
		} else {
			byKey[k] = t
		}
		return nil
	})
	return total, byKey, err
}

// rawTotal tallies the requests of the spans.
func rawTotal(ctx context.Context, tx pgx.Tx, spans []span, f filter) (total requestTally, err error) {
	var st statement
	st.add(`SELECT `).add(rawTallyColumns, measured).
		add(` FROM performance_metrics WHERE `).within(spans).requestsOf(f)
	err = collect(ctx, tx, &st, "tally requests", func(rows pgx.Rows) error { return rows.Scan(total.targets()...) })
	return total, err
}
