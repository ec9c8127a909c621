package query

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/records"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

func (s *Service) endpointDetail() httpapi.Route {
	return httpapi.Endpoint[seriesRequest, *api.EndpointDetail]{
		Method: http.MethodGet, Path: "/api/v1/metrics/endpoint", Access: httpapi.Admin,
		Decode: func(r *http.Request) (seriesRequest, error) {
			p, rng := s.open(r)
			req := seriesRequest{rng: rng, exact: p.boolean("exact"), SeriesQuestion: history.SeriesQuestion{
				Metric: api.MetricTypePerformance, Anonymous: p.boolean("include_anonymous"),
				Filter: snapshot.Filter{App: p.app(), Endpoint: p.required("endpoint", 500), Method: p.required("method", 32)}}}
			req.interval, req.zone = p.interval(rng)
			return req, p.err
		},
		Execute: s.getEndpointDetail,
	}.Route()
}

func (s *Service) getEndpointDetail(ctx context.Context, _ auth.Caller, req seriesRequest) (*api.EndpointDetail, error) {
	resp := &api.EndpointDetail{TimeRange: req.rng.Name, StartTime: req.rng.Start, EndTime: req.rng.End,
		App: req.Filter.NamedApp(), Endpoint: req.Filter.Endpoint, Method: req.Filter.Method}
	err := s.store.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		v, err := history.Open(ctx, tx, history.Question{Range: req.rng, Exact: req.exact, Now: s.now()})
		if err != nil {
			return err
		}
		b, err := v.Buckets(req.interval, req.zone)
		if err != nil {
			return err
		}
		read := v.PlanWhole(event.KindPerformance)
		total, err := v.TallyRequests(ctx, tx, req.Filter)
		if err != nil {
			return err
		}
		users, err := history.ReadUsers(ctx, tx, v.AskUsers(req.Filter, nil, false), nil)
		if err != nil {
			return err
		}
		series, err := v.ReadSeries(ctx, tx, req.SeriesQuestion, b)
		if err != nil {
			return err
		}
		resp.Metrics, resp.Interval, resp.DataPoints = total.Metrics(users.Count(req.Anonymous)), b.Interval, series.List(v, b)
		resp.Sources = v.Provenance(total.N, true, read)
		if resp.StatusCodes, resp.ErrorTypes, err = history.TallyOutcomes(ctx, tx, read, req.Filter); err != nil {
			return err
		}
		if resp.Users, resp.UsersAffected, err = records.ListUsers(ctx, tx, v, req.Filter, records.ByErrors, &resp.Sources); err != nil {
			return err
		}
		resp.SlowestRequests, err = records.ListSlowest(ctx, tx, v, req.Filter)
		return err
	})
	return resp, err
}
