package query

import (
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

type usageRequest struct {
	rng       timeRange
	filter    filter
	anonymous bool
	exact     bool
	compare   bool
	interval  api.Interval
	zone      *time.Location
}

func (s *Service) usage() httpapi.Route {
	return httpapi.Endpoint[usageRequest, *api.Usage]{
		Method: http.MethodGet, Path: "/api/v1/metrics/usage", Access: httpapi.Admin,
		Decode: func(r *http.Request) (usageRequest, error) {
			p, rng := s.open(r)
			req := usageRequest{rng: rng, filter: p.eventFilter(), anonymous: p.boolean("include_anonymous"),
				exact: p.boolean("exact"), compare: p.boolean("compare")}
			req.interval, req.zone = p.interval(rng)
			return req, p.err
		},
		Execute: s.getUsage,
	}.Route()
}

func (s *Service) getUsage(ctx context.Context, _ auth.Caller, req usageRequest) (*api.Usage, error) {
	resp := &api.Usage{TimeRange: req.rng.name, StartTime: req.rng.start, EndTime: req.rng.end}
	err := s.store.snapshot(ctx, func(ctx context.Context, tx pgx.Tx) error {
		v, err := s.view(ctx, tx, req.rng, req.exact)
		if err != nil {
			return err
		}
		b, err := v.buckets(req.interval, req.zone)
		if err != nil {
			return err
		}
		resp.Interval = b.interval
		tally, err := rawEvents(ctx, tx, v.raw, req.filter)
		if err != nil {
			return err
		}
		if resp.Metrics, err = s.usageMetrics(ctx, tx, v, tally, req); err != nil {
			return err
		}
		resp.EventDistribution = tally.byType
		if err := fillUsage(ctx, tx, v, req, b, resp); err != nil {
			return err
		}
		resp.Sources = v.provenance(tally.n)
		if req.compare {
			resp.Previous, err = s.previousUsage(ctx, tx, req)
		}
		return err
	})
	return resp, err
}

// fillUsage adds what is listed beside the totals.
func fillUsage(ctx context.Context, tx pgx.Tx, v *view, req usageRequest, b buckets, resp *api.Usage) (err error) {
	pages := req.filter
	if pages.eventType == "" {
		pages.eventType = event.TypePageView
	}
	if resp.PageViews, err = countEventsBy(ctx, tx, v.raw, pages, "page_name", maxPages); err != nil {
		return err
	}
	if resp.Elements, err = countEventsBy(ctx, tx, v.raw, req.filter, "element_id", maxElements); err != nil {
		return err
	}
	if resp.TopUsers, err = activeUsers(ctx, tx, v.raw, req.filter, byActivity); err != nil {
		return err
	}
	resp.ActiveUsers, err = v.activeUsersOver(ctx, tx, req.filter, b, req.anonymous)
	return err
}

// usageMetrics completes the tally of events with the users behind them.
func (s *Service) usageMetrics(ctx context.Context, tx pgx.Tx, v *view, tally eventTally, req usageRequest) (api.UsageMetrics, error) {
	m := tally.metrics()
	var err error
	if m.UniqueUsers, err = v.users(ctx, tx, req.filter, userScope{events: true}, false); err != nil {
		return m, err
	}
	m.ActiveUsersCurrentHour, err = s.usersThisHour(ctx, tx, req.filter.app, req.anonymous)
	return m, err
}

// usersThisHour counts who is active since the last full hour.
func (s *Service) usersThisHour(ctx context.Context, tx pgx.Tx, app string, anonymous bool) (int64, error) {
	now := s.now()
	hour := []span{{now.Truncate(time.Hour), now.Add(event.MaxAhead)}}
	f := filter{app: app}
	n, err := countUsers(ctx, tx, hour, f, scopeOf(f))
	if err != nil || !anonymous {
		return n, err
	}
	some, err := anyAnonymous(ctx, tx, hour, f)
	if some {
		n++
	}
	return n, err
}

// anyAnonymous reports whether requests of the spans have no user.
func anyAnonymous(ctx context.Context, tx pgx.Tx, spans []span, f filter) (some bool, err error) {
	var st statement
	st.add(`SELECT EXISTS (SELECT FROM performance_metrics WHERE user_id IS NULL AND `).within(spans).requestsOf(f).add(`)`)
	err = collect(ctx, tx, &st, "look for anonymous requests", func(rows pgx.Rows) error { return rows.Scan(&some) })
	return some, err
}

// previousUsage tallies the period before, or returns nil where part of it is
// no longer kept.
func (s *Service) previousUsage(ctx context.Context, tx pgx.Tx, req usageRequest) (*api.PreviousUsage, error) {
	rng := req.rng.before()
	if !s.retained(rng) {
		return nil, nil
	}
	v, err := s.view(ctx, tx, rng, req.exact)
	if err != nil {
		return nil, err
	}
	tally, err := rawEvents(ctx, tx, v.raw, req.filter)
	if err != nil {
		return nil, err
	}
	metrics, err := s.usageMetrics(ctx, tx, v, tally, req)
	return &api.PreviousUsage{StartTime: rng.start, EndTime: rng.end, Metrics: metrics}, err
}

// activeUsersOver counts the distinct users per bucket, oldest first.
func (v *view) activeUsersOver(ctx context.Context, tx pgx.Tx, f filter, b buckets, anonymous bool) ([]api.ActiveUsersPoint, error) {
	byBucket, err := v.usersBy(ctx, tx, f, scopeOf(f), b, anonymous)
	points := make([]api.ActiveUsersPoint, 0, len(byBucket))
	for at, n := range byBucket {
		start := time.Unix(at, 0).UTC()
		points = append(points, api.ActiveUsersPoint{Timestamp: start, ActiveUsers: n, Complete: v.complete(b, start)})
	}
	slices.SortFunc(points, func(a, b api.ActiveUsersPoint) int { return a.Timestamp.Compare(b.Timestamp) })
	return points, err
}
