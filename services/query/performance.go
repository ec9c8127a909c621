package query

import (
	"cmp"
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

type performanceRequest struct {
	rng       timeRange
	filter    filter
	anonymous bool
	exact     bool
	compare   bool
}

func (s *Service) performance() httpapi.Route {
	return httpapi.Endpoint[performanceRequest, *api.Performance]{
		Method: http.MethodGet, Path: "/api/v1/metrics/performance", Access: httpapi.Admin,
		Decode: func(r *http.Request) (performanceRequest, error) {
			p, rng := s.open(r)
			return performanceRequest{rng: rng, filter: p.requestFilter(), anonymous: p.boolean("include_anonymous"),
				exact: p.boolean("exact"), compare: p.boolean("compare")}, p.err
		},
		Execute: s.getPerformance,
	}.Route()
}

func (s *Service) getPerformance(ctx context.Context, _ auth.Caller, req performanceRequest) (*api.Performance, error) {
	resp := &api.Performance{TimeRange: req.rng.name, StartTime: req.rng.start, EndTime: req.rng.end}
	err := s.store.snapshot(ctx, func(ctx context.Context, tx pgx.Tx) error {
		v, err := s.look(ctx, tx, req.rng, req.exact, req.compare)
		if err != nil {
			return err
		}
		total, byEndpoint, err := v.endpoints(ctx, tx, req.filter)
		if err != nil {
			return err
		}
		cut := v.slices()
		trends, err := v.trends(ctx, tx, req.filter, cut)
		if err != nil {
			return err
		}
		question := v.crowd(req.filter, nil, false)
		users, err := crowds(ctx, tx, question, nil)
		if err != nil {
			return err
		}
		resp.Metrics = total.metrics(users.count(req.anonymous))
		resp.Endpoints = listEndpoints(byEndpoint, trends, cut)
		resp.TrendSliceSeconds = int64(cut.width / time.Second)
		resp.Sources = v.provenance(total.n, true, v.whole(event.KindPerformance), question.events)
		if req.compare {
			resp.Previous, err = s.previousPerformance(ctx, tx, v, req)
		}
		return err
	})
	return resp, err
}

// endpoints tallies the requests of the view, in all and per endpoint.
func (v *view) endpoints(ctx context.Context, tx pgx.Tx, f filter) (total *requestTally, byEndpoint map[endpointKey]*requestTally, err error) {
	err = v.evenly(func() error {
		total, byEndpoint, err = tallyEndpoints(ctx, tx, v.whole(event.KindPerformance), f)
		if err != nil || !v.sharp {
			return err
		}
		return sharpenEndpoints(ctx, tx, v.all(), f, total, byEndpoint)
	})
	return total, byEndpoint, err
}

// requests tallies the requests of the view.
func (v *view) requests(ctx context.Context, tx pgx.Tx, f filter) (total *requestTally, err error) {
	err = v.evenly(func() error {
		total, err = tallyRequests(ctx, tx, v.whole(event.KindPerformance), f)
		if err != nil || !v.sharp {
			return err
		}
		return sharpen(ctx, tx, v.all(), f, []*requestTally{total})
	})
	return total, err
}

// previousPerformance tallies the period before, or returns nil where part of
// it is no longer kept.
func (s *Service) previousPerformance(ctx context.Context, tx pgx.Tx, v *view, req performanceRequest) (*api.PreviousPerformance, error) {
	before := v.earlier(s, req.exact)
	if before == nil {
		return nil, nil
	}
	total, err := before.requests(ctx, tx, req.filter)
	if err != nil {
		return nil, err
	}
	users, err := crowds(ctx, tx, before.crowd(req.filter, nil, false), nil)
	if err != nil {
		return nil, err
	}
	return &api.PreviousPerformance{StartTime: before.asked.start, EndTime: before.asked.end,
		Metrics: total.metrics(users.count(req.anonymous))}, nil
}

// trendSlices cuts a range into about 24 equal pieces for the sparklines.
type trendSlices struct {
	from  time.Time
	width time.Duration
	n     int
}

// slices returns slices that aggregates can fill: beyond half a day, and where
// there is nothing else, whole hours; from some weeks on whole UTC days.
func (v *view) slices() trendSlices {
	length := v.to.Sub(v.from)
	width := length / 24
	switch {
	case length <= day/2 && !v.from.Before(v.cover.purged):
		return countSlices(v.from, v.to, max(roundUp(width, time.Second), time.Second))
	case length < 24*day:
		return countSlices(v.from.Truncate(time.Hour), v.to, roundUp(width, time.Hour))
	}
	return countSlices(v.from.Truncate(day), v.to, roundUp(width, day))
}

func countSlices(from, to time.Time, width time.Duration) trendSlices {
	return trendSlices{from: from, width: width, n: int(roundUp(to.Sub(from), width) / width)}
}

func roundUp(d, unit time.Duration) time.Duration { return (d + unit - 1).Truncate(unit) }

func (c trendSlices) of(t time.Time) int { return min(max(0, int(t.Sub(c.from)/c.width)), c.n-1) }

// sliced is how the range is read to fill slices.
func (v *view) sliced(cut trendSlices) reading {
	p := v.prefer
	p.noDays = cut.width%day != 0
	p.split = cut.cuts
	return v.cover.plan(event.KindPerformance, v.from, v.to, p)
}

// cuts reports whether a slice begins inside of an hour.
func (c trendSlices) cuts(hour time.Time) bool {
	into := hour.Sub(c.from) % c.width
	if into < 0 {
		into += c.width
	}
	return into != 0 && into+time.Hour > c.width
}

// trends counts the requests of each endpoint per slice.
func (v *view) trends(ctx context.Context, tx pgx.Tx, f filter, cut trendSlices) (map[endpointKey][]int64, error) {
	r := v.sliced(cut)
	var st statement
	if r.aggregated() {
		st.add(`SELECT app, endpoint_path, method, date_bin(?::interval, time_bucket, ?), sum(sample_count)::bigint FROM (`, cut.width, cut.from)
		st.aggregates(byKey, event.KindPerformance, f, r, func() { st.add(`app, endpoint_path, method, time_bucket, sample_count`) })
		st.add(`) AS part GROUP BY 1, 2, 3, 4`)
	}
	if len(r.raw) > 0 {
		if r.aggregated() {
			st.add(` UNION ALL `)
		}
		st.add(`SELECT app, endpoint, method, date_bin(?::interval, "timestamp", ?), count(*) FROM performance_metrics WHERE `, cut.width, cut.from).
			within(r.raw).requestsOf(f).add(` GROUP BY 1, 2, 3, 4`)
	}
	trends := map[endpointKey][]int64{}
	err := collect(ctx, tx, &st, "count trends", func(rows pgx.Rows) error {
		var k endpointKey
		var at time.Time
		var n int64
		if err := rows.Scan(&k.app, &k.endpoint, &k.method, &at, &n); err != nil {
			return err
		}
		if trends[k] == nil {
			trends[k] = make([]int64, cut.n)
		}
		trends[k][cut.of(at)] += n
		return nil
	})
	return trends, err
}

// listEndpoints returns the endpoints, most requests first.
func listEndpoints(byKey map[endpointKey]*requestTally, trends map[endpointKey][]int64, cut trendSlices) []api.EndpointMetrics {
	list := make([]api.EndpointMetrics, 0, len(byKey))
	for k, t := range byKey {
		trend := trends[k]
		if trend == nil {
			trend = make([]int64, cut.n)
		}
		list = append(list, api.EndpointMetrics{
			App: k.app, Endpoint: k.endpoint, Method: k.method,
			AvgResponseTimeMs: t.avg(), MinResponseTimeMs: t.min, MaxResponseTimeMs: t.max,
			P50ResponseTimeMs: t.percentile(0), P95ResponseTimeMs: t.percentile(1), P99ResponseTimeMs: t.percentile(2),
			RequestCount: t.n, ErrorCount: t.errors, ErrorRate: t.errorRate(), Trend: trend,
		})
	}
	slices.SortFunc(list, func(a, b api.EndpointMetrics) int {
		return cmp.Or(cmp.Compare(b.RequestCount, a.RequestCount), cmp.Compare(a.Endpoint, b.Endpoint),
			cmp.Compare(a.Method, b.Method), cmp.Compare(a.App, b.App))
	})
	return list
}
