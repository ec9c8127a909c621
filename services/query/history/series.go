package history

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// SeriesQuestion is what points are asked for.
type SeriesQuestion struct {
	Metric    api.MetricType
	Filter    snapshot.Filter
	Anonymous bool // those who are not known count as one active user
}

func (q SeriesQuestion) requests() bool { return q.Metric != api.MetricTypeUsage }
func (q SeriesQuestion) events() bool   { return q.Metric != api.MetricTypePerformance }

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

// List returns the points, oldest first.
func (s *series) List(v *View, b Buckets) []api.DataPoint {
	points := make([]api.DataPoint, 0, len(s.points))
	for _, p := range s.points {
		p.Complete, p.Cut = v.complete(b, p.Timestamp), v.cut(b, p.Timestamp)
		points = append(points, *p)
	}
	slices.SortFunc(points, func(a, b api.DataPoint) int { return a.Timestamp.Compare(b.Timestamp) })
	return points
}

// ReadSeries computes the points of what was asked for.
func (v *View) ReadSeries(ctx context.Context, tx pgx.Tx, q SeriesQuestion, b Buckets) (*series, error) {
	s := &series{points: map[int64]*api.DataPoint{}}
	if q.requests() {
		if err := v.requestsOver(ctx, tx, q.Filter, b, s); err != nil {
			return nil, err
		}
	}
	if q.events() {
		err := countEventsOver(ctx, tx, v.PlanBuckets(event.KindUsage, b), q.Filter, b, func(bucket time.Time, name string, n int64) {
			countEvents(s.at(bucket), name, n)
			s.n += n
		})
		if err != nil {
			return nil, err
		}
	}
	_, err := ReadUsers(ctx, tx, v.AskUsers(q.Filter, &b, q.events()), func(bucket time.Time, c *activeUsers) {
		if n := c.Count(q.Anonymous); n > 0 {
			s.at(bucket).ActiveUsers = &n
		}
		if n := c.Events.Count(); n > 0 && q.events() {
			s.at(bucket).UniqueUsers = &n
		}
	})
	return s, err
}

// requestsOver fills the points with the requests of each bucket.
func (v *View) requestsOver(ctx context.Context, tx pgx.Tx, f snapshot.Filter, b Buckets, s *series) error {
	describe := func(bucket time.Time, t *RequestTally) {
		t.fill(s.at(bucket))
		s.n += t.N
	}
	if v.exactPercentiles {
		return tallyRequestsExactly(ctx, tx, snapshot.Span{From: v.from, To: v.to}, f, b, describe)
	}
	return tallyRequestsOver(ctx, tx, v.PlanBuckets(event.KindPerformance, b), f, b, describe)
}

// Provenance says what the series rests on.
func (s *series) Provenance(v *View, q SeriesQuestion, b Buckets) api.Provenance {
	if !q.requests() {
		return v.Provenance(s.n, false, v.PlanBuckets(event.KindUsage, b))
	}
	if !q.events() {
		return v.Provenance(s.n, true, v.PlanBuckets(event.KindPerformance, b))
	}
	return v.Provenance(s.n, true, v.PlanBuckets(event.KindPerformance, b), v.PlanBuckets(event.KindUsage, b))
}

func countEvents(p *api.DataPoint, name string, n int64) {
	if p.TotalEvents == nil {
		p.TotalEvents, p.EventsByType = new(int64), map[string]int64{}
	}
	*p.TotalEvents += n
	p.EventsByType[name] += n
}
