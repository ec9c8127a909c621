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

func (s *Service) eventDetail() httpapi.Route {
	return httpapi.Endpoint[seriesRequest, *api.EventDetail]{
		Method: http.MethodGet, Path: "/api/v1/metrics/event", Access: httpapi.Admin,
		Decode: func(r *http.Request) (seriesRequest, error) {
			p, rng := s.open(r)
			req := seriesRequest{rng: rng, exact: p.boolean("exact"), seriesQuestion: seriesQuestion{
				metric: api.MetricTypeUsage, filter: filter{app: p.app(), eventType: p.required("event_type", 100)}}}
			req.interval, req.zone = p.interval(rng)
			return req, p.err
		},
		Execute: s.getEventDetail,
	}.Route()
}

func (s *Service) getEventDetail(ctx context.Context, _ auth.Caller, req seriesRequest) (*api.EventDetail, error) {
	resp := &api.EventDetail{TimeRange: req.rng.name, StartTime: req.rng.start, EndTime: req.rng.end,
		App: req.filter.namedApp(), EventType: req.filter.eventType}
	err := s.store.snapshot(ctx, func(ctx context.Context, tx pgx.Tx) error {
		v, err := openView(ctx, tx, question{rng: req.rng, exact: req.exact, now: s.now()})
		if err != nil {
			return err
		}
		b, err := v.buckets(req.interval, req.zone)
		if err != nil {
			return err
		}
		read := v.whole(event.KindUsage)
		tally, err := tallyEvents(ctx, tx, read, req.filter, true)
		if err != nil {
			return err
		}
		users, err := crowds(ctx, tx, v.crowd(req.filter, nil, true), nil)
		if err != nil {
			return err
		}
		current, err := usersThisHour(ctx, tx, s.now(), req.filter.app, false)
		if err != nil {
			return err
		}
		series, err := v.series(ctx, tx, req.seriesQuestion, b)
		if err != nil {
			return err
		}
		resp.Metrics = tally.metrics()
		resp.Metrics.UniqueUsers, resp.Metrics.ActiveUsersCurrentHour = users.events.count(), current
		resp.Pages, resp.Elements, resp.Interval, resp.DataPoints = tally.pages, tally.elements, b.interval, series.list(v, b)
		resp.Sources = v.provenance(tally.n, false, read)
		resp.Users, _, err = listUsers(ctx, tx, v, req.filter, byEvents, &resp.Sources)
		return err
	})
	return resp, err
}
