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

type seriesRequest struct {
	rng       timeRange
	metric    api.MetricType
	filter    filter
	anonymous bool
	exact     bool
	interval  api.Interval
	zone      *time.Location
}

func (r seriesRequest) requests() bool { return r.metric != api.MetricTypeUsage }
func (r seriesRequest) events() bool   { return r.metric != api.MetricTypePerformance }

func (s *Service) timeSeries() httpapi.Route {
	return httpapi.Endpoint[seriesRequest, *api.TimeSeries]{
		Method: http.MethodGet, Path: "/api/v1/metrics/time-series", Access: httpapi.Admin,
		Decode: func(r *http.Request) (seriesRequest, error) {
			p, rng := s.open(r)
			p.required("metric_type", 20)
			req := seriesRequest{rng: rng, filter: p.requestFilter(), anonymous: p.boolean("include_anonymous"), exact: p.boolean("exact"),
				metric: choice(p, "metric_type", "", api.MetricTypePerformance, api.MetricTypeUsage, api.MetricTypeBoth)}
			req.filter.eventType = p.text("event_type", 100)
			req.interval, req.zone = p.interval(rng)
			return req, p.err
		},
		Execute: s.getTimeSeries,
	}.Route()
}

func (s *Service) getTimeSeries(ctx context.Context, _ auth.Caller, req seriesRequest) (*api.TimeSeries, error) {
	resp := &api.TimeSeries{TimeRange: req.rng.name, StartTime: req.rng.start, EndTime: req.rng.end}
	err := s.store.snapshot(ctx, func(ctx context.Context, tx pgx.Tx) error {
		v, err := s.look(ctx, tx, req.rng, req.exact, false)
		if err != nil {
			return err
		}
		b, err := v.buckets(req.interval, req.zone)
		if err != nil {
			return err
		}
		series, err := v.series(ctx, tx, req, b)
		if err != nil {
			return err
		}
		resp.Interval, resp.DataPoints, resp.Sources = b.interval, series.list(v, b), series.provenance(v, req, b)
		resp.Deploys, err = v.deploys(ctx, tx, req.filter.app)
		return err
	})
	return resp, err
}

// series is data points under construction, by the start of their bucket.
type series struct {
	points map[int64]*api.DataPoint
	n      int64
}

func (s *series) at(bucket time.Time) *api.DataPoint {
	p := s.points[bucket.Unix()]
	if p == nil {
		p = &api.DataPoint{Timestamp: bucket.UTC()}
		s.points[bucket.Unix()] = p
	}
	return p
}

// list returns the points, oldest first.
func (s *series) list(v *view, b buckets) []api.DataPoint {
	points := make([]api.DataPoint, 0, len(s.points))
	for _, p := range s.points {
		p.Complete = v.complete(b, p.Timestamp)
		points = append(points, *p)
	}
	slices.SortFunc(points, func(a, b api.DataPoint) int { return a.Timestamp.Compare(b.Timestamp) })
	return points
}

// series computes the points of what was asked for.
func (v *view) series(ctx context.Context, tx pgx.Tx, req seriesRequest, b buckets) (*series, error) {
	s := &series{points: map[int64]*api.DataPoint{}}
	if req.requests() {
		if err := v.requestsOver(ctx, tx, req.filter, b, s); err != nil {
			return nil, err
		}
	}
	if req.events() {
		err := countEventsOver(ctx, tx, v.over(event.KindUsage, b), req.filter, b, func(bucket time.Time, name string, n int64) {
			countEvents(s.at(bucket), name, n)
			s.n += n
		})
		if err != nil {
			return nil, err
		}
	}
	_, err := crowds(ctx, tx, v.crowd(req.filter, &b, req.events()), func(bucket time.Time, c *crowd) {
		if n := c.count(req.anonymous); n > 0 {
			s.at(bucket).ActiveUsers = &n
		}
		if n := c.events.count(); n > 0 && req.events() {
			s.at(bucket).UniqueUsers = &n
		}
	})
	return s, err
}

// requestsOver fills the points with the requests of each bucket.
func (v *view) requestsOver(ctx context.Context, tx pgx.Tx, f filter, b buckets, s *series) error {
	describe := func(bucket time.Time, t *requestTally) {
		t.describe(s.at(bucket))
		s.n += t.n
	}
	if v.sharp {
		return tallyRequestsExactly(ctx, tx, span{v.from, v.to}, f, b, describe)
	}
	return tallyRequestsOver(ctx, tx, v.over(event.KindPerformance, b), f, b, describe)
}

// provenance says what the series rests on.
func (s *series) provenance(v *view, req seriesRequest, b buckets) api.Provenance {
	if !req.requests() {
		return v.provenance(s.n, false, v.over(event.KindUsage, b))
	}
	if !req.events() {
		return v.provenance(s.n, true, v.over(event.KindPerformance, b))
	}
	return v.provenance(s.n, true, v.over(event.KindPerformance, b), v.over(event.KindUsage, b))
}

func countEvents(p *api.DataPoint, name string, n int64) {
	if p.TotalEvents == nil {
		p.TotalEvents, p.EventsByType = new(int64), map[string]int64{}
	}
	*p.TotalEvents += n
	p.EventsByType[name] += n
}
