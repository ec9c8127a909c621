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
)

type usageRequest struct {
	rng       timeRange
	filter    filter
	anonymous bool
	exact     bool
	compare   bool
	users     bool // active_users and top_users are wanted
	interval  api.Interval
	zone      *time.Location
}

func (s *Service) usage() httpapi.Route {
	return httpapi.Endpoint[usageRequest, *api.Usage]{
		Method: http.MethodGet, Path: "/api/v1/metrics/usage", Access: httpapi.Admin,
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
	resp := &api.Usage{TimeRange: req.rng.name, StartTime: req.rng.start, EndTime: req.rng.end}
	err := s.store.snapshot(ctx, func(ctx context.Context, tx pgx.Tx) error {
		v, err := openView(ctx, tx, question{rng: req.rng, exact: req.exact, compare: req.compare, now: s.now()})
		if err != nil {
			return err
		}
		b, err := v.buckets(req.interval, req.zone)
		if err != nil {
			return err
		}
		tally, err := tallyEvents(ctx, tx, v.whole(event.KindUsage), req.filter, true)
		if err != nil {
			return err
		}
		current, err := usersThisHour(ctx, tx, s.now(), req.filter.app, req.anonymous)
		if err != nil {
			return err
		}
		resp.Interval, resp.Metrics = b.interval, tally.metrics()
		resp.Metrics.ActiveUsersCurrentHour = current
		resp.EventDistribution, resp.PageViews, resp.Elements = tally.byType, tally.pages, tally.elements
		if err = addUsersOf(ctx, tx, v, req, b, tally.n, resp); err != nil || !req.compare {
			return err
		}
		resp.Previous, err = s.previousUsage(ctx, tx, v, req, current)
		return err
	})
	return resp, err
}

// addUsersOf adds who had the n events of the answer: how many, and where they are
// wanted how many when, and who.
func addUsersOf(ctx context.Context, tx pgx.Tx, v *view, req usageRequest, b buckets, n int64, resp *api.Usage) (err error) {
	if !req.users {
		r := v.whole(event.KindUsage)
		who, err := crowds(ctx, tx, crowdQuestion{events: r, filter: req.filter}, nil)
		resp.ActiveUsers, resp.TopUsers, resp.Sources = []api.ActiveUsersPoint{}, []api.UserActivity{}, v.provenance(n, false, r)
		resp.Metrics.UniqueUsers = who.events.count()
		return err
	}
	who, points, err := v.activeOver(ctx, tx, req.filter, req.anonymous, b)
	if err != nil {
		return err
	}
	resp.ActiveUsers, resp.Sources = points, v.provenance(n, false, v.over(event.KindUsage, b))
	resp.Metrics.UniqueUsers = who.events.count()
	resp.TopUsers, _, err = listUsers(ctx, tx, v, req.filter, byActivity, &resp.Sources)
	return err
}

// previousUsage tallies the period before, or returns nil where part of it is
// no longer kept.
func (s *Service) previousUsage(ctx context.Context, tx pgx.Tx, v *view, req usageRequest, current int64) (*api.PreviousUsage, error) {
	if !s.retained(v.asked.before()) {
		return nil, nil
	}
	before := v.previous(req.exact)
	tally, err := tallyEvents(ctx, tx, before.whole(event.KindUsage), req.filter, false)
	if err != nil {
		return nil, err
	}
	q := crowdQuestion{events: before.whole(event.KindUsage), filter: req.filter}
	users, err := crowds(ctx, tx, q, nil)
	if err != nil {
		return nil, err
	}
	m := tally.metrics()
	m.UniqueUsers, m.ActiveUsersCurrentHour = users.events.count(), current
	return &api.PreviousUsage{StartTime: before.asked.start, EndTime: before.asked.end, Metrics: m}, nil
}
