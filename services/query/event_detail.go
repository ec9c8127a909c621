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

func (s *Service) eventDetail() httpapi.Route {
	return httpapi.Endpoint[seriesRequest, *api.EventDetail]{
		Method: http.MethodGet, Path: "/api/v1/metrics/event", Access: httpapi.Reader,
		Query: with("event_type", "app", "exact", "interval", "time_zone"),
		Decode: func(r *http.Request) (seriesRequest, error) {
			p, rng := s.open(r)
			req := seriesRequest{rng: rng, exact: p.boolean("exact"), SeriesQuestion: history.SeriesQuestion{
				Metric: api.MetricTypeUsage, Filter: snapshot.Filter{App: p.app(), EventType: p.required("event_type", 100)}}}
			req.interval, req.zone = p.interval(rng)
			return req, p.err
		},
		Execute: s.getEventDetail,
	}.Route()
}

func (s *Service) getEventDetail(ctx context.Context, _ auth.Caller, req seriesRequest) (*api.EventDetail, error) {
	resp := &api.EventDetail{TimeRange: req.rng.Name, StartTime: req.rng.Start, EndTime: req.rng.End,
		App: req.Filter.NamedApp(), EventType: req.Filter.EventType}
	question := history.Question{Range: req.rng, Exact: req.exact}
	err := s.read(ctx, question, req.Filter.App, func(ctx context.Context, tx pgx.Tx, v *history.View) (int64, error) {
		err := s.addEventNumbers(ctx, tx, v, req, resp)
		if err != nil {
			return 0, err
		}
		resp.Users, _, err = records.ListUsers(ctx, tx, v, req.Filter, records.ByEvents, &resp.Sources)
		return resp.Sources.N, err
	})
	return resp, err
}

// addEventNumbers adds what is merged: totals, lists and points.
func (s *Service) addEventNumbers(ctx context.Context, tx pgx.Tx, v *history.View, req seriesRequest, resp *api.EventDetail) error {
	b, err := v.Buckets(req.interval, req.zone)
	if err != nil {
		return err
	}
	plan := v.PlanWhole(event.KindUsage)
	tally, err := history.TallyEvents(ctx, tx, plan, req.Filter, true)
	if err != nil {
		return err
	}
	users, err := history.ReadUsers(ctx, tx, v.AskUsers(req.Filter, nil, true), nil)
	if err != nil {
		return err
	}
	current, err := history.CountUsersThisHour(ctx, tx, s.now(), req.Filter.App, false)
	if err != nil {
		return err
	}
	series, err := v.ReadSeries(ctx, tx, req.SeriesQuestion, b)
	if err != nil {
		return err
	}
	resp.Metrics, resp.Sources = tally.Metrics(), v.Provenance(tally.N, false, plan)
	resp.Metrics.UniqueUsers, resp.Metrics.ActiveUsersCurrentHour = users.Events.Count(), current
	resp.Pages, resp.PageList = tally.Pages.List(history.MaxPages)
	resp.Elements, resp.ElementList = tally.Elements.List(history.MaxElements)
	resp.Interval, resp.DataPoints = b.Interval, series.List(v, b)
	return nil
}
