package query

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
)

func (s *Service) endpointDetail() httpapi.Route {
	return httpapi.Endpoint[seriesRequest, *api.EndpointDetail]{
		Method: http.MethodGet, Path: "/api/v1/metrics/endpoint", Access: httpapi.Admin,
		Decode: func(r *http.Request) (seriesRequest, error) {
			p, rng := s.open(r)
			req := seriesRequest{rng: rng, exact: p.boolean("exact"), seriesQuestion: seriesQuestion{
				metric: api.MetricTypePerformance, anonymous: p.boolean("include_anonymous"),
				filter: filter{app: p.app(), endpoint: p.required("endpoint", 500), method: p.required("method", 32)}}}
			req.interval, req.zone = p.interval(rng)
			return req, p.err
		},
		Execute: s.getEndpointDetail,
	}.Route()
}

func (s *Service) getEndpointDetail(ctx context.Context, _ auth.Caller, req seriesRequest) (*api.EndpointDetail, error) {
	resp := &api.EndpointDetail{TimeRange: req.rng.name, StartTime: req.rng.start, EndTime: req.rng.end,
		App: req.filter.namedApp(), Endpoint: req.filter.endpoint, Method: req.filter.method}
	err := s.store.snapshot(ctx, func(ctx context.Context, tx pgx.Tx) error {
		v, err := openView(ctx, tx, question{rng: req.rng, exact: req.exact, now: s.now()})
		if err != nil {
			return err
		}
		b, err := v.buckets(req.interval, req.zone)
		if err != nil {
			return err
		}
		read := v.whole(event.KindPerformance)
		total, err := v.requests(ctx, tx, req.filter)
		if err != nil {
			return err
		}
		users, err := crowds(ctx, tx, v.crowd(req.filter, nil, false), nil)
		if err != nil {
			return err
		}
		series, err := v.series(ctx, tx, req.seriesQuestion, b)
		if err != nil {
			return err
		}
		resp.Metrics, resp.Interval, resp.DataPoints = total.metrics(users.count(req.anonymous)), b.interval, series.list(v, b)
		resp.Sources = v.provenance(total.n, true, read)
		if resp.StatusCodes, resp.ErrorTypes, err = tallyOutcomes(ctx, tx, read, req.filter); err != nil {
			return err
		}
		if resp.Users, resp.UsersAffected, err = listUsers(ctx, tx, v, req.filter, byErrors, &resp.Sources); err != nil {
			return err
		}
		resp.SlowestRequests, err = listSlowestOf(ctx, tx, v, req.filter)
		return err
	})
	return resp, err
}
