package query

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
)

// seriesQuestion is what points are asked for.
type seriesQuestion struct {
	metric    api.MetricType
	filter    filter
	anonymous bool // those who are not known count as one active user
}

func (q seriesQuestion) requests() bool { return q.metric != api.MetricTypeUsage }
func (q seriesQuestion) events() bool   { return q.metric != api.MetricTypePerformance }

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
func (v *view) series(ctx context.Context, tx pgx.Tx, q seriesQuestion, b buckets) (*series, error) {
	s := &series{points: map[int64]*api.DataPoint{}}
	if q.requests() {
		if err := v.requestsOver(ctx, tx, q.filter, b, s); err != nil {
			return nil, err
		}
	}
	if q.events() {
		err := countEventsOver(ctx, tx, v.over(event.KindUsage, b), q.filter, b, func(bucket time.Time, name string, n int64) {
			countEvents(s.at(bucket), name, n)
			s.n += n
		})
		if err != nil {
			return nil, err
		}
	}
	_, err := crowds(ctx, tx, v.crowd(q.filter, &b, q.events()), func(bucket time.Time, c *crowd) {
		if n := c.count(q.anonymous); n > 0 {
			s.at(bucket).ActiveUsers = &n
		}
		if n := c.events.count(); n > 0 && q.events() {
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
func (s *series) provenance(v *view, q seriesQuestion, b buckets) api.Provenance {
	if !q.requests() {
		return v.provenance(s.n, false, v.over(event.KindUsage, b))
	}
	if !q.events() {
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
