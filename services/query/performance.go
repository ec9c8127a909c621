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
	"github.com/lakepulse/lakepulse/pkg/event"
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
		v, err := openView(ctx, tx, question{rng: req.rng, exact: req.exact, compare: req.compare, now: s.now()})
		if err != nil {
			return err
		}
		total, byEndpoint, err := v.endpoints(ctx, tx, req.filter)
		if err != nil {
			return err
		}
		cut := v.slices()
		trends, err := v.trends(ctx, tx, req.filter, cut)
		if err != nil {
			return err
		}
		question := v.crowd(req.filter, nil, false)
		users, err := crowds(ctx, tx, question, nil)
		if err != nil {
			return err
		}
		resp.Metrics = total.metrics(users.count(req.anonymous))
		resp.Endpoints = listEndpoints(byEndpoint, trends, cut)
		resp.TrendSliceSeconds = int64(cut.width / time.Second)
		resp.Sources = v.provenance(total.n, true, v.whole(event.KindPerformance), question.events)
		if req.compare {
			resp.Previous, err = s.previousPerformance(ctx, tx, v, req)
		}
		return err
	})
	return resp, err
}

// previousPerformance tallies the period before, or returns nil where part of
// it is no longer kept.
func (s *Service) previousPerformance(ctx context.Context, tx pgx.Tx, v *view, req performanceRequest) (*api.PreviousPerformance, error) {
	if !s.retained(v.asked.before()) {
		return nil, nil
	}
	before := v.previous(req.exact)
	total, err := before.requests(ctx, tx, req.filter)
	if err != nil {
		return nil, err
	}
	users, err := crowds(ctx, tx, before.crowd(req.filter, nil, false), nil)
	if err != nil {
		return nil, err
	}
	return &api.PreviousPerformance{StartTime: before.asked.start, EndTime: before.asked.end,
		Metrics: total.metrics(users.count(req.anonymous))}, nil
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
