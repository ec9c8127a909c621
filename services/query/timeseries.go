package query

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
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
		v, err := s.view(ctx, tx, req.rng, req.exact)
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
		resp.Interval, resp.DataPoints, resp.Sources = b.interval, series.list(v, b), v.provenance(series.n)
		resp.Deploys, err = deploys(ctx, tx, v.raw, req.filter)
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
		if err := s.addRequests(ctx, tx, v.raw, req.filter, b); err != nil {
			return nil, err
		}
	}
	if req.events() {
		if err := s.addEvents(ctx, tx, v, req.filter, b); err != nil {
			return nil, err
		}
	}
	users, err := v.usersBy(ctx, tx, req.filter, scopeOf(req.filter), b, req.anonymous)
	for at, n := range users {
		s.at(time.Unix(at, 0)).ActiveUsers = &n
	}
	return s, err
}

// addRequests fills the points with the requests of each bucket.
func (s *series) addRequests(ctx context.Context, tx pgx.Tx, spans []span, f filter, b buckets) error {
	var st statement
	st.add(`SELECT `)
	b.column(&st).add(`, `).add(rawTallyColumns, measured).
		add(` FROM performance_metrics WHERE `).within(spans).requestsOf(f).add(` GROUP BY 1`)
	return collect(ctx, tx, &st, "tally requests over time", func(rows pgx.Rows) error {
		var bucket time.Time
		var t requestTally
		if err := rows.Scan(append([]any{&bucket}, t.targets()...)...); err != nil {
			return err
		}
		t.describe(s.at(bucket))
		s.n += t.n
		return nil
	})
}

// describe writes the tally into a point.
func (t *requestTally) describe(p *api.DataPoint) {
	avg, rate := t.avg(), t.errorRate()
	p50, p95, p99 := t.percentile(0), t.percentile(1), t.percentile(2)
	p.AvgResponseTimeMs, p.ErrorRate = &avg, &rate
	p.P50ResponseTimeMs, p.P95ResponseTimeMs, p.P99ResponseTimeMs = &p50, &p95, &p99
	p.TotalRequests, p.ErrorCount = &t.n, &t.errors
}

// addEvents fills the points with the usage events of each bucket.
func (s *series) addEvents(ctx context.Context, tx pgx.Tx, v *view, f filter, b buckets) error {
	var st statement
	st.add(`SELECT `)
	b.column(&st).add(`, event_type, count(*) FROM usage_events WHERE `).within(v.raw).eventsOf(f).add(` GROUP BY 1, 2`)
	err := collect(ctx, tx, &st, "count events over time", func(rows pgx.Rows) error {
		var bucket time.Time
		var name string
		var n int64
		if err := rows.Scan(&bucket, &name, &n); err != nil {
			return err
		}
		countEvents(s.at(bucket), name, n)
		s.n += n
		return nil
	})
	if err != nil {
		return err
	}
	users, err := v.usersBy(ctx, tx, f, userScope{events: true}, b, false)
	for at, n := range users {
		s.at(time.Unix(at, 0)).UniqueUsers = &n
	}
	return err
}

func countEvents(p *api.DataPoint, name string, n int64) {
	if p.TotalEvents == nil {
		p.TotalEvents, p.EventsByType = new(int64), map[string]int64{}
	}
	*p.TotalEvents += n
	p.EventsByType[name] += n
}

// deploys lists when versions were first seen in the spans. The first version
// of each app was there before or is the beginning: either way no deploy.
func deploys(ctx context.Context, tx pgx.Tx, spans []span, f filter) ([]api.Deploy, error) {
	var st statement
	st.add(`SELECT app, app_version, first_seen FROM (
		SELECT app, app_version, first_seen, row_number() OVER (PARTITION BY app ORDER BY first_seen) AS place FROM (
		SELECT app, app_version, min("timestamp") AS first_seen FROM performance_metrics WHERE `).
		within(spans).equal("app", f.app).add(` AND app_version IS NOT NULL GROUP BY 1, 2) AS seen) AS ranked
		WHERE place > 1 ORDER BY first_seen LIMIT 200`)
	var list []api.Deploy
	err := collect(ctx, tx, &st, "list deploys", func(rows pgx.Rows) error {
		var d api.Deploy
		if err := rows.Scan(&d.App, &d.AppVersion, &d.Timestamp); err != nil {
			return err
		}
		d.Timestamp = d.Timestamp.UTC()
		list = append(list, d)
		return nil
	})
	return list, err
}
