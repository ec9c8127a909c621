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
	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

type performanceRequest struct {
	rng       history.Range
	filter    snapshot.Filter
	anonymous bool
	exact     bool
	compare   bool
}

func (s *Service) performance() httpapi.Route {
	return httpapi.Endpoint[performanceRequest, *api.Performance]{
		Method: http.MethodGet, Path: "/api/v1/metrics/performance", Access: httpapi.Reader,
		Query: with("app", "endpoint", "method", "include_anonymous", "exact", "compare"),
		Decode: func(r *http.Request) (performanceRequest, error) {
			p, rng := s.open(r)
			return performanceRequest{rng: rng, filter: p.requestFilter(), anonymous: p.boolean("include_anonymous"),
				exact: p.boolean("exact"), compare: p.boolean("compare")}, p.err
		},
		Execute: s.getPerformance,
	}.Route()
}

func (s *Service) getPerformance(ctx context.Context, _ auth.Caller, req performanceRequest) (*api.Performance, error) {
	resp := &api.Performance{TimeRange: req.rng.Name, StartTime: req.rng.Start, EndTime: req.rng.End}
	question := history.Question{Range: req.rng, Exact: req.exact, Compare: req.compare}
	err := s.read(ctx, question, req.filter.App, func(ctx context.Context, tx pgx.Tx, v *history.View) (int64, error) {
		total, byEndpoint, err := v.TallyEndpoints(ctx, tx, req.filter)
		if err != nil {
			return 0, err
		}
		cut := v.TrendSlices()
		trends, err := v.CountTrends(ctx, tx, req.filter, cut)
		if err != nil {
			return 0, err
		}
		asked := v.AskUsers(req.filter, nil, false)
		users, err := history.ReadUsers(ctx, tx, asked, nil)
		if err != nil {
			return 0, err
		}
		resp.Metrics = total.Metrics(users.Count(req.anonymous))
		resp.Endpoints = listEndpoints(byEndpoint, trends, cut)
		resp.TrendSliceSeconds = int64(cut.Width / time.Second)
		resp.Sources = v.Provenance(total.N, true, v.PlanWhole(event.KindPerformance), asked.Events)
		if req.compare {
			resp.Previous, err = s.previousPerformance(ctx, tx, v, req)
		}
		return resp.Sources.N, err
	})
	return resp, err
}

// previousPerformance tallies the period before, nil where part of it is no longer kept.
func (s *Service) previousPerformance(ctx context.Context, tx pgx.Tx, v *history.View, req performanceRequest) (*api.PreviousPerformance, error) {
	if !s.retained(v.PreviousRange()) {
		return nil, nil
	}
	before := v.Previous(req.exact)
	total, err := before.TallyRequests(ctx, tx, req.filter)
	if err != nil {
		return nil, err
	}
	question := before.AskUsers(req.filter, nil, false)
	users, err := history.ReadUsers(ctx, tx, question, nil)
	if err != nil {
		return nil, err
	}
	from, to := before.Effective()
	return &api.PreviousPerformance{StartTime: from, EndTime: to, Metrics: total.Metrics(users.Count(req.anonymous)),
		Sources: before.Provenance(total.N, true, before.PlanWhole(event.KindPerformance), question.Events)}, nil
}

// listEndpoints returns the endpoints, most requests first.
func listEndpoints(byKey map[history.EndpointKey]*history.RequestTally, trends map[history.EndpointKey][]int64, cut history.TrendSlices) []api.EndpointMetrics {
	list := make([]api.EndpointMetrics, 0, len(byKey))
	for k, t := range byKey {
		trend := trends[k]
		if trend == nil {
			trend = make([]int64, cut.N)
		}
		list = append(list, api.EndpointMetrics{
			App: k.App, Endpoint: k.Endpoint, Method: k.Method,
			AvgResponseTimeMs: t.Avg(), MinResponseTimeMs: t.Min, MaxResponseTimeMs: t.Max,
			P50ResponseTimeMs: t.Percentile(0), P95ResponseTimeMs: t.Percentile(1), P99ResponseTimeMs: t.Percentile(2),
			RequestCount: t.N, ErrorCount: t.Errors, ErrorRate: t.ErrorRate(), Trend: trend,
			InsufficientSamples: t.InsufficientSamples(),
		})
	}
	slices.SortFunc(list, func(a, b api.EndpointMetrics) int {
		return cmp.Or(cmp.Compare(b.RequestCount, a.RequestCount), cmp.Compare(a.Endpoint, b.Endpoint),
			cmp.Compare(a.Method, b.Method), cmp.Compare(a.App, b.App))
	})
	return list
}
