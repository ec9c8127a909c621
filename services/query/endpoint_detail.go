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
		Method: http.MethodGet, Path: "/api/v1/metrics/endpoint", Access: httpapi.Reader,
		Query: with("endpoint", "method", "app", "include_anonymous", "exact", "interval", "time_zone"),
		Decode: func(r *http.Request) (seriesRequest, error) {
			p, rng := s.open(r)
			req := seriesRequest{rng: rng, exact: p.boolean("exact"), SeriesQuestion: history.SeriesQuestion{
				Metric: api.MetricTypePerformance, Anonymous: p.boolean("include_anonymous"),
				Filter: snapshot.Filter{App: p.app(), Endpoint: p.required("endpoint", 500), Method: p.required("method", 16)}}}
			req.interval, req.zone = p.interval(rng)
			return req, p.err
		},
		Execute: s.getEndpointDetail,
	}.Route()
}

func (s *Service) getEndpointDetail(ctx context.Context, _ auth.Caller, req seriesRequest) (*api.EndpointDetail, error) {
	resp := &api.EndpointDetail{TimeRange: req.rng.Name, StartTime: req.rng.Start, EndTime: req.rng.End,
		App: req.Filter.NamedApp(), Endpoint: req.Filter.Endpoint, Method: req.Filter.Method}
	question := history.Question{Range: req.rng, Exact: req.exact}
	err := s.read(ctx, question, req.Filter.App, func(ctx context.Context, tx pgx.Tx, v *history.View) (int64, error) {
		if err := addEndpointNumbers(ctx, tx, v, req, resp); err != nil {
			return 0, err
		}
		return resp.Sources.N, addEndpointRows(ctx, tx, v, req.Filter, resp)
	})
	return resp, err
}

// addEndpointNumbers adds what is merged: totals, points and outcomes.
func addEndpointNumbers(ctx context.Context, tx pgx.Tx, v *history.View, req seriesRequest, resp *api.EndpointDetail) error {
	b, err := v.Buckets(req.interval, req.zone)
	if err != nil {
		return err
	}
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
	plan := v.PlanWhole(event.KindPerformance)
	outcomes, err := history.TallyOutcomes(ctx, tx, plan, req.Filter)
	if err != nil {
		return err
	}
	resp.Metrics, resp.Sources = total.Metrics(users.Count(req.Anonymous)), v.Provenance(total.N, true, plan)
	resp.Interval, resp.DataPoints = b.Interval, series.List(v, b)
	resp.StatusCodes, _ = outcomes.Statuses.List(history.MaxStatuses)
	resp.ErrorTypes, resp.ErrorTypeList = outcomes.Failures.List(history.MaxErrorTypes)
	return nil
}

// addEndpointRows adds what is read from single rows: users and the slowest requests.
func addEndpointRows(ctx context.Context, tx pgx.Tx, v *history.View, f snapshot.Filter, resp *api.EndpointDetail) (err error) {
	resp.Users, resp.UsersAffected, err = records.ListUsers(ctx, tx, v, f, records.ByErrors, &resp.Sources)
	if err != nil {
		return err
	}
	resp.SlowestRequests, err = records.ListSlowest(ctx, tx, v, f)
	return err
}
