package query

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
)

type performanceRequest struct {
	rng       timeRange
	filter    filter
	anonymous bool
	exact     bool
	compare   bool
}

func (s *Service) performance() httpapi.Route {
	return httpapi.Endpoint[performanceRequest, *api.Performance]{
		Method: http.MethodGet, Path: "/api/v1/metrics/performance", Access: httpapi.Admin,
		Decode: func(r *http.Request) (performanceRequest, error) {
			p, rng := s.open(r)
			return performanceRequest{rng: rng, filter: p.requestFilter(), anonymous: p.boolean("include_anonymous"),
				exact: p.boolean("exact"), compare: p.boolean("compare")}, p.err
		},
		Execute: s.getPerformance,
	}.Route()
}

func (s *Service) getPerformance(ctx context.Context, _ auth.Caller, req performanceRequest) (*api.Performance, error) {
	resp := &api.Performance{TimeRange: req.rng.name, StartTime: req.rng.start, EndTime: req.rng.end}
	err := s.store.snapshot(ctx, func(ctx context.Context, tx pgx.Tx) error {
		v, err := s.view(ctx, tx, req.rng, req.exact)
		if err != nil {
			return err
		}
		total, byKey, err := rawEndpoints(ctx, tx, v.raw, req.filter)
		if err != nil {
			return err
		}
		cut := slicesOf(req.rng)
		trends, err := rawTrends(ctx, tx, v.raw, req.filter, cut)
		if err != nil {
			return err
		}
		users, err := v.users(ctx, tx, req.filter, scopeOf(req.filter), req.anonymous && total.anonymous > 0)
		if err != nil {
			return err
		}
		resp.Metrics = total.metrics(users)
		resp.Endpoints = listEndpoints(byKey, trends, cut)
		resp.TrendSliceSeconds = int64(cut.width / time.Second)
		resp.Sources = v.provenance(total.n)
		if req.compare {
			resp.Previous, err = s.previousPerformance(ctx, tx, req)
		}
		return err
	})
	return resp, err
}

// previousPerformance tallies the period before, or returns nil where part of
// it is no longer kept.
func (s *Service) previousPerformance(ctx context.Context, tx pgx.Tx, req performanceRequest) (*api.PreviousPerformance, error) {
	rng := req.rng.before()
	if !s.retained(rng) {
		return nil, nil
	}
	v, err := s.view(ctx, tx, rng, req.exact)
	if err != nil {
		return nil, err
	}
	total, err := rawTotal(ctx, tx, v.raw, req.filter)
	if err != nil {
		return nil, err
	}
	users, err := v.users(ctx, tx, req.filter, scopeOf(req.filter), req.anonymous && total.anonymous > 0)
	return &api.PreviousPerformance{StartTime: rng.start, EndTime: rng.end, Metrics: total.metrics(users)}, err
}

// trendSlices cuts a range into about 24 equal pieces for the sparklines.
type trendSlices struct {
	from  time.Time
	width time.Duration
	n     int
}

// slicesOf returns slices that aggregates can fill: beyond 24 hours whole hours,
// and from some weeks on whole UTC days.
func slicesOf(rng timeRange) trendSlices {
	width := rng.length() / 24
	switch {
	case rng.length() <= day:
		width = max(width.Round(time.Second), time.Second)
		return countSlices(rng.start, rng.end, width)
	case rng.length() < 24*day:
		width = roundUp(width, time.Hour)
		return countSlices(rng.start.Truncate(time.Hour), rng.end, width)
	}
	width = roundUp(width, day)
	return countSlices(rng.start.Truncate(day), rng.end, width)
}

func countSlices(from, to time.Time, width time.Duration) trendSlices {
	return trendSlices{from: from, width: width, n: int(roundUp(to.Sub(from), width) / width)}
}

func roundUp(d, unit time.Duration) time.Duration { return (d + unit - 1) / unit * unit }

func (c trendSlices) of(t time.Time) int { return min(max(0, int(t.Sub(c.from)/c.width)), c.n-1) }

// rawTrends counts the requests of each endpoint per slice.
func rawTrends(ctx context.Context, tx pgx.Tx, spans []span, f filter, cut trendSlices) (map[endpointKey][]int64, error) {
	var st statement
	st.add(`SELECT app, endpoint, method, date_bin(?::interval, "timestamp", ?), count(*) FROM performance_metrics WHERE `, cut.width, cut.from).
		within(spans).requestsOf(f).add(` GROUP BY 1, 2, 3, 4`)
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

// listEndpoints returns the endpoints, most requests first.
func listEndpoints(byKey map[endpointKey]*requestTally, trends map[endpointKey][]int64, cut trendSlices) []api.EndpointMetrics {
	list := make([]api.EndpointMetrics, 0, len(byKey))
	for k, t := range byKey {
		trend := trends[k]
		if trend == nil {
			trend = make([]int64, cut.n)
		}
		list = append(list, api.EndpointMetrics{
			App: k.app, Endpoint: k.endpoint, Method: k.method,
			AvgResponseTimeMs: t.avg(), MinResponseTimeMs: t.min, MaxResponseTimeMs: t.max,
			P50ResponseTimeMs: t.percentile(0), P95ResponseTimeMs: t.percentile(1), P99ResponseTimeMs: t.percentile(2),
			RequestCount: t.n, ErrorCount: t.errors, ErrorRate: t.errorRate(), Trend: trend,
		})
	}
	slices.SortFunc(list, func(a, b api.EndpointMetrics) int {
		return cmp.Or(cmp.Compare(b.RequestCount, a.RequestCount), cmp.Compare(a.Endpoint, b.Endpoint),
			cmp.Compare(a.Method, b.Method), cmp.Compare(a.App, b.App))
	})
	return list
}
