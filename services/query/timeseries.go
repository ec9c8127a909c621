package query

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/services/query/history"
)

type seriesRequest struct {
	history.SeriesQuestion

	rng      history.Range
	exact    bool
	interval api.Interval
	zone     *time.Location
}

func (s *Service) timeSeries() httpapi.Route {
	return httpapi.Endpoint[seriesRequest, *api.TimeSeries]{
		Method: http.MethodGet, Path: "/api/v1/metrics/time-series", Access: httpapi.Reader,
		Query: with("metric_type", "app", "endpoint", "method", "event_type", "include_anonymous", "exact", "interval", "time_zone"),
		Decode: func(r *http.Request) (seriesRequest, error) {
			p, rng := s.open(r)
			p.required("metric_type", 20)
			req := seriesRequest{rng: rng, exact: p.boolean("exact"), SeriesQuestion: history.SeriesQuestion{
				Filter: p.requestFilter(), Anonymous: p.boolean("include_anonymous"),
				Metric: choice(p, "metric_type", "", api.MetricTypePerformance, api.MetricTypeUsage, api.MetricTypeBoth)}}
			req.Filter.EventType = p.text("event_type", 100)
			req.interval, req.zone = p.interval(rng)
			return req, p.err
		},
		Execute: s.getTimeSeries,
	}.Route()
}

func (s *Service) getTimeSeries(ctx context.Context, _ auth.Caller, req seriesRequest) (*api.TimeSeries, error) {
	resp := &api.TimeSeries{TimeRange: req.rng.Name, StartTime: req.rng.Start, EndTime: req.rng.End}
	err := s.read(ctx, history.Question{Range: req.rng, Exact: req.exact}, req.Filter.App, func(ctx context.Context, tx pgx.Tx, v *history.View) (int64, error) {
		b, err := v.Buckets(req.interval, req.zone)
		if err != nil {
			return 0, err
		}
		series, err := v.ReadSeries(ctx, tx, req.SeriesQuestion, b)
		if err != nil {
			return 0, err
		}
		resp.Interval, resp.DataPoints, resp.Sources = b.Interval, series.List(v, b), series.Provenance(v, req.SeriesQuestion, b)
		resp.Deploys, err = v.ListDeploys(ctx, tx, req.Filter)
		return resp.Sources.N, err
	})
	return resp, err
}
