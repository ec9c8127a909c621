package query

import (
	"context"
	"net/http"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
)

// maxSlowest bounds the slowest requests of an endpoint's view.
const maxSlowest = 20

func (s *Service) endpointDetail() httpapi.Route {
	return httpapi.Endpoint[seriesRequest, *api.EndpointDetail]{
		Method: http.MethodGet, Path: "/api/v1/metrics/endpoint", Access: httpapi.Admin,
		Decode: func(r *http.Request) (seriesRequest, error) {
			p, rng := s.open(r)
			req := seriesRequest{rng: rng, metric: api.MetricTypePerformance, anonymous: p.boolean("include_anonymous"), exact: p.boolean("exact"),
				filter: filter{app: p.app(), endpoint: p.required("endpoint", 500), method: p.required("method", 32)}}
			req.interval, req.zone = p.interval(rng)
			return req, p.err
		},
		Execute: s.getEndpointDetail,
	}.Route()
}

func (s *Service) getEndpointDetail(ctx context.Context, _ auth.Caller, req seriesRequest) (*api.EndpointDetail, error) {
	resp := &api.EndpointDetail{TimeRange: req.rng.name, StartTime: req.rng.start, EndTime: req.rng.end,
		App: optional(req.filter.app), Endpoint: req.filter.endpoint, Method: req.filter.method}
	err := s.store.snapshot(ctx, func(ctx context.Context, tx pgx.Tx) error {
		v, err := s.look(ctx, tx, req.rng, req.exact, false)
		if err != nil {
			return err
		}
		b, err := v.buckets(req.interval, req.zone)
		if err != nil {
			return err
		}
		read := v.whole(event.KindPerformance)
		total, err := v.requests(ctx, tx, req.filter)
		if err != nil {
			return err
		}
		users, err := crowds(ctx, tx, v.crowd(req.filter, nil, false), nil)
		if err != nil {
			return err
		}
		series, err := v.series(ctx, tx, req, b)
		if err != nil {
			return err
		}
		resp.Metrics, resp.Interval, resp.DataPoints = total.metrics(users.count(req.anonymous)), b.interval, series.list(v, b)
		resp.Sources = v.provenance(total.n, true, read)
		if resp.StatusCodes, resp.ErrorTypes, err = tallyOutcomes(ctx, tx, read, req.filter); err != nil {
			return err
		}
		if resp.Users, resp.UsersAffected, err = v.listUsers(ctx, tx, req.filter, byErrors, &resp.Sources); err != nil {
			return err
		}
		resp.SlowestRequests, err = v.slowest(ctx, tx, req.filter)
		return err
	})
	return resp, err
}

// tallyOutcomes counts requests by status code, and failed ones by error type;
// those without a type are under the empty name.
func tallyOutcomes(ctx context.Context, tx pgx.Tx, r reading, f filter) (statuses, failures map[string]int64, err error) {
	statuses, failures = map[string]int64{}, map[string]int64{}
	if r.aggregated() {
		var st statement
		st.aggregates(byKey, event.KindPerformance, f, r, func() {
			st.add(`aggregated_values->'status_code_distribution', aggregated_values->'error_type_distribution'`)
		})
		err = collect(ctx, tx, &st, "merge outcomes", func(rows pgx.Rows) error {
			values := rows.RawValues()
			if err := addCounts(statuses, values[0]); err != nil {
				return err
			}
			return addCounts(failures, values[1])
		})
		if err != nil {
			return nil, nil, err
		}
	}
	if len(r.raw) == 0 {
		return statuses, most(failures, maxElements), nil
	}
	var st statement
	st.add(`SELECT status_code, CASE WHEN status_code >= 400 THEN coalesce(error_type, '') END, count(*) FROM performance_metrics WHERE `).
		within(r.raw).requestsOf(f).add(` GROUP BY 1, 2`)
	err = collect(ctx, tx, &st, "tally outcomes", func(rows pgx.Rows) error {
		var code int
		var failure *string
		var n int64
		if err := rows.Scan(&code, &failure, &n); err != nil {
			return err
		}
		statuses[strconv.Itoa(code)] += n
		if failure != nil {
			failures[*failure] += n
		}
		return nil
	})
	return statuses, most(failures, maxElements), err
}

// slowest lists the slowest requests of the raw window. Each of the slowest 20
// lies in one of the 20 hours whose slowest request is slowest, and aggregates
// know those: a scan of the whole window is needed only where there are none.
func (v *view) slowest(ctx context.Context, tx pgx.Tx, f filter) ([]api.RequestRecord, error) {
	window := v.rawWindow()
	if len(window) == 0 {
		return []api.RequestRecord{}, nil
	}
	p := preference{aggregates: true, noDays: true}
	r := v.cover.plan(event.KindPerformance, window[0].from, window[0].to, p)
	spans := r.raw
	if len(r.hours) > 0 {
		var st statement
		st.add(`SELECT time_bucket, time_bucket + interval '1 hour' FROM (`)
		st.aggregates(byKey, event.KindPerformance, f, r, func() { st.add(`time_bucket, response_time_max`) })
		st.add(`) AS part GROUP BY time_bucket ORDER BY max(response_time_max) DESC LIMIT ?`, maxSlowest)
		err := collect(ctx, tx, &st, "find slow hours", func(rows pgx.Rows) error {
			var hour span
			err := rows.Scan(&hour.from, &hour.to)
			spans = append(spans, hour)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return listRequests(ctx, tx, spans, requestFilter{filter: f}, api.OrderSlowest, maxSlowest, 0)
}

// optional is nil for "".
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
