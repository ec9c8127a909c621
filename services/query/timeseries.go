package query

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
)

type seriesRequest struct {
	seriesQuestion

	rng      timeRange
	exact    bool
	interval api.Interval
	zone     *time.Location
}

func (s *Service) timeSeries() httpapi.Route {
	return httpapi.Endpoint[seriesRequest, *api.TimeSeries]{
		Method: http.MethodGet, Path: "/api/v1/metrics/time-series", Access: httpapi.Admin,
		Decode: func(r *http.Request) (seriesRequest, error) {
			p, rng := s.open(r)
			p.required("metric_type", 20)
			req := seriesRequest{rng: rng, exact: p.boolean("exact"), seriesQuestion: seriesQuestion{
				filter: p.requestFilter(), anonymous: p.boolean("include_anonymous"),
				metric: choice(p, "metric_type", "", api.MetricTypePerformance, api.MetricTypeUsage, api.MetricTypeBoth)}}
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
		v, err := openView(ctx, tx, question{rng: req.rng, exact: req.exact, now: s.now()})
		if err != nil {
			return err
		}
		b, err := v.buckets(req.interval, req.zone)
		if err != nil {
			return err
		}
		series, err := v.series(ctx, tx, req.seriesQuestion, b)
		if err != nil {
			return err
		}
		resp.Interval, resp.DataPoints, resp.Sources = b.interval, series.list(v, b), series.provenance(v, req.seriesQuestion, b)
		resp.Deploys, err = v.deploys(ctx, tx, req.filter.app)
		return err
	})
	return resp, err
}
