package query

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/records"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

type usageRequest struct {
	rng       history.Range
	filter    snapshot.Filter
	anonymous bool
	exact     bool
	compare   bool
	users     bool // active_users and top_users are wanted
	interval  api.Interval
	zone      *time.Location
}

func (s *Service) usage() httpapi.Route {
	return httpapi.Endpoint[usageRequest, *api.Usage]{
		Method: http.MethodGet, Path: "/api/v1/metrics/usage", Access: httpapi.Reader,
		Query: with("app", "event_type", "include_anonymous", "exact", "compare", "users", "interval", "time_zone"),
		Decode: func(r *http.Request) (usageRequest, error) {
			p, rng := s.open(r)
			req := usageRequest{rng: rng, filter: p.eventFilter(), anonymous: p.boolean("include_anonymous"),
				exact: p.boolean("exact"), compare: p.boolean("compare"), users: !p.given("users") || p.boolean("users")}
			req.interval, req.zone = p.interval(rng)
			return req, p.err
		},
		Execute: s.getUsage,
	}.Route()
}

func (s *Service) getUsage(ctx context.Context, _ auth.Caller, req usageRequest) (*api.Usage, error) {
	resp := &api.Usage{TimeRange: req.rng.Name, StartTime: req.rng.Start, EndTime: req.rng.End}
	question := history.Question{Range: req.rng, Exact: req.exact, Compare: req.compare}
	err := s.read(ctx, question, req.filter.App, func(ctx context.Context, tx pgx.Tx, v *history.View) (int64, error) {
		b, err := v.Buckets(req.interval, req.zone)
		if err != nil {
			return 0, err
		}
		resp.Interval = b.Interval
		if err := s.addEvents(ctx, tx, v, req, resp); err != nil {
			return 0, err
		}
		n := resp.Metrics.TotalEvents
		if err = addUsers(ctx, tx, v, req, b, resp); err != nil || !req.compare {
			return n, err
		}
		resp.Previous, err = s.previousUsage(ctx, tx, v, req, resp.Metrics.ActiveUsersCurrentHour)
		return n, err
	})
	return resp, err
}

// addEvents adds the numbers of events and the lists by type, page and element.
func (s *Service) addEvents(ctx context.Context, tx pgx.Tx, v *history.View, req usageRequest, resp *api.Usage) error {
	tally, err := history.TallyEvents(ctx, tx, v.PlanWhole(event.KindUsage), req.filter, true)
	if err != nil {
		return err
	}
	resp.Metrics, resp.EventDistribution = tally.Metrics(), tally.ByType
	resp.PageViews, resp.PageList = tally.Pages.List(history.MaxPages)
	resp.Elements, resp.ElementList = tally.Elements.List(history.MaxElements)
	resp.Metrics.ActiveUsersCurrentHour, err = history.CountUsersThisHour(ctx, tx, s.now(), req.filter.App, req.anonymous)
	return err
}

// addUsers adds the number of users with events and, where they are wanted, the
// numbers of users per bucket and the list of the most active.
func addUsers(ctx context.Context, tx pgx.Tx, v *history.View, req usageRequest, b history.Buckets, resp *api.Usage) (err error) {
	n := resp.Metrics.TotalEvents
	if !req.users {
		r := v.PlanWhole(event.KindUsage)
		who, err := history.ReadUsers(ctx, tx, history.UserQuestion{Events: r, Filter: req.filter}, nil)
		resp.ActiveUsers, resp.TopUsers, resp.Sources = []api.ActiveUsersPoint{}, []api.UserActivity{}, v.Provenance(n, false, r)
		resp.Metrics.UniqueUsers = who.Events.Count()
		return err
	}
	who, points, err := v.CountUsersOver(ctx, tx, req.filter, req.anonymous, b)
	if err != nil {
		return err
	}
	resp.ActiveUsers, resp.Sources = points, v.Provenance(n, false, v.PlanBuckets(event.KindUsage, b))
	resp.Metrics.UniqueUsers = who.Events.Count()
	resp.TopUsers, _, err = records.ListUsers(ctx, tx, v, req.filter, records.ByActivity, &resp.Sources)
	return err
}

// previousUsage tallies the period before, nil where part of it is no longer kept.
func (s *Service) previousUsage(ctx context.Context, tx pgx.Tx, v *history.View, req usageRequest, current int64) (*api.PreviousUsage, error) {
	if !s.retained(v.PreviousRange()) {
		return nil, nil
	}
	before := v.Previous(req.exact)
	tally, err := history.TallyEvents(ctx, tx, before.PlanWhole(event.KindUsage), req.filter, false)
	if err != nil {
		return nil, err
	}
	q := history.UserQuestion{Events: before.PlanWhole(event.KindUsage), Filter: req.filter}
	users, err := history.ReadUsers(ctx, tx, q, nil)
	if err != nil {
		return nil, err
	}
	m := tally.Metrics()
	m.UniqueUsers, m.ActiveUsersCurrentHour = users.Events.Count(), current
	from, to := before.Effective()
	return &api.PreviousUsage{StartTime: from, EndTime: to, Metrics: m, Sources: before.Provenance(tally.N, false, q.Events)}, nil
}
