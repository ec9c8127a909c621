package query

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/stats"
)

// requestFilter narrows the requests themselves, by more than aggregates know.
type requestFilter struct {
	filter

	statusClass api.StatusClass
	errorType   string
	user        string
	interaction string
}

// statusClasses are the conditions of each class.
var statusClasses = map[api.StatusClass]string{
	api.StatusClass2Xx:   ` AND status_code >= 200 AND status_code < 300`,
	api.StatusClass3Xx:   ` AND status_code >= 300 AND status_code < 400`,
	api.StatusClass4Xx:   ` AND status_code >= 400 AND status_code < 500`,
	api.StatusClass5Xx:   ` AND status_code >= 500 AND status_code < 600`,
	api.StatusClassError: ` AND status_code >= 400`,
}

func (p *params) detailedRequestFilter() requestFilter {
	return requestFilter{
		filter: p.requestFilter(),
		statusClass: choice(p, "status_class", "", api.StatusClass2Xx, api.StatusClass3Xx, api.StatusClass4Xx,
			api.StatusClass5Xx, api.StatusClassError),
		errorType:   p.text("error_type", 255),
		user:        p.text("user_id", 255),
		interaction: p.text("interaction_id", 255),
	}
}

func (s *statement) requestsLike(f requestFilter) *statement {
	return s.requestsOf(f.filter).add(statusClasses[f.statusClass]).equal("error_type", f.errorType).
		equal("user_id", f.user).equal("interaction_id", f.interaction)
}

type requestsRequest struct {
	rng    timeRange
	filter requestFilter
	order  api.RequestOrder
	limit  int
}

func (s *Service) requests() httpapi.Route {
	return httpapi.Endpoint[requestsRequest, *api.RequestList]{
		Method: http.MethodGet, Path: "/api/v1/metrics/requests", Access: httpapi.Admin,
		Decode: func(r *http.Request) (requestsRequest, error) {
			p, rng := s.open(r)
			return requestsRequest{rng: rng, filter: p.detailedRequestFilter(), limit: p.limit(100),
				order: choice(p, "order", api.OrderRecent, api.OrderRecent, api.OrderSlowest)}, p.err
		},
		Execute: s.getRequests,
	}.Route()
}

func (s *Service) getRequests(ctx context.Context, _ auth.Caller, req requestsRequest) (*api.RequestList, error) {
	resp := &api.RequestList{TimeRange: req.rng.name, StartTime: req.rng.start, EndTime: req.rng.end}
	err := s.store.snapshot(ctx, func(ctx context.Context, tx pgx.Tx) error {
		v, err := s.look(ctx, tx, req.rng, true, false)
		if err != nil {
			return err
		}
		list, err := v.listRequests(ctx, tx, req.filter, req.order, req.limit+1)
		if err != nil {
			return err
		}
		if resp.Truncated = len(list) > req.limit; resp.Truncated {
			list = list[:req.limit]
		}
		resp.Requests, resp.Sources = list, v.rawProvenance(int64(len(list)), v.rawWindow())
		return nil
	})
	return resp, err
}

// rawProvenance says what an answer over n rows of the spans rests on.
func (v *view) rawProvenance(n int64, spans []span) api.Provenance {
	p := v.provenance(n, false)
	p.Alignment, p.EffectiveStart, p.EffectiveEnd = api.AlignmentNone, v.asked.start, v.asked.end
	if len(spans) > 0 {
		p.RawFrom = &spans[0].from
	}
	return p
}

// requestColumns are the columns of a RequestRecord, in the order of targets.
const requestColumns = `id, "timestamp", received_at, app, instance, endpoint, method, status_code, response_time_ms, user_id, error_type,
	app_version, session_id, interaction_id, trace_id, correlation_id, seq`

func requestTargets(r *api.RequestRecord) []any {
	return []any{(*[16]byte)(&r.ID), &r.Timestamp, &r.ReceivedAt, &r.App, &r.Instance, &r.Endpoint, &r.Method, &r.StatusCode,
		&r.ResponseTimeMs, &r.UserID, &r.ErrorType, &r.AppVersion, &r.SessionID, &r.InteractionID, &r.TraceID, &r.CorrelationID, &r.Seq}
}

// listRequests returns the first requests of an order in the raw window.
func (v *view) listRequests(ctx context.Context, tx pgx.Tx, f requestFilter, order api.RequestOrder, limit int) ([]api.RequestRecord, error) {
	if order == api.OrderSlowest {
		return v.listSlowest(ctx, tx, f, limit)
	}
	return v.listRecent(ctx, tx, f, limit)
}

// listRecent reads along the key for as long as that finds what is asked for.
// Where the last rows hold too few of it, it is rare: reading all others as they
// lie and sorting what is found costs a fifth of going on row by row.
func (v *view) listRecent(ctx context.Context, tx pgx.Tx, f requestFilter, limit int) ([]api.RequestRecord, error) {
	near := v.lastRows(listedRows)
	list, err := listRequests(ctx, tx, near, f, api.OrderRecent, limit, 0)
	if err != nil || len(list) >= limit || len(near) == 0 {
		return list, err
	}
	far := span{v.rawWindow()[0].from, near[0].from}
	if far.empty() {
		return list, nil
	}
	var st statement
	st.add(`SELECT * FROM (SELECT `+requestColumns+` FROM performance_metrics WHERE `).within([]span{far}).requestsLike(f).
		add(` OFFSET 0) AS rare ORDER BY "timestamp" DESC, id DESC LIMIT ?`, limit-len(list)) // OFFSET keeps the key out of it
	rest, err := collectRequests(ctx, tx, &st)
	return append(list, rest...), err
}

// listSlowest lets Postgres throw away early what cannot be among the slowest,
// as far as aggregates know how slow that is. Whatever they say, as many rows as
// were asked for, none of them faster than all that were left out, are the slowest.
func (v *view) listSlowest(ctx context.Context, tx pgx.Tx, f requestFilter, limit int) ([]api.RequestRecord, error) {
	least := 0.0
	if f == (requestFilter{filter: f.filter}) { // aggregates know no other filter
		var err error
		if least, err = v.slowerThan(ctx, tx, f.filter, limit); err != nil {
			return nil, err
		}
	}
	list, err := listRequests(ctx, tx, v.rawWindow(), f, api.OrderSlowest, limit, least)
	if err != nil || len(list) >= limit || least == 0 {
		return list, err
	}
	return listRequests(ctx, tx, v.rawWindow(), f, api.OrderSlowest, limit, 0)
}

// slowerThan returns how long so many requests of the raw window took at least,
// by its aggregates; 0 when those count fewer.
func (v *view) slowerThan(ctx context.Context, tx pgx.Tx, f filter, n int) (float64, error) {
	window := v.rawWindow()
	if len(window) == 0 {
		return 0, nil
	}
	r := v.cover.plan(event.KindPerformance, window[0].from, window[0].to, preference{aggregates: true})
	r.raw = nil
	if !r.aggregated() {
		return 0, nil
	}
	t, err := tallyRequests(ctx, tx, r, f)
	if err != nil || t.n < int64(n) {
		return 0, err
	}
	bucket, _ := t.histogram.Rank(uint64(t.n - int64(n) + 1)) // positive
	from, _ := stats.Bounds(bucket)
	return from, nil
}

// listRequests returns the first requests of an order that took least or longer.
func listRequests(ctx context.Context, tx pgx.Tx, spans []span, f requestFilter, order api.RequestOrder, limit int, least float64) ([]api.RequestRecord, error) {
	by := ` ORDER BY "timestamp" DESC, id DESC`
	if order == api.OrderSlowest {
		by = ` ORDER BY response_time_ms DESC, "timestamp" DESC, id DESC`
	}
	var st statement
	st.add(`SELECT ` + requestColumns + ` FROM performance_metrics WHERE `).within(spans).requestsLike(f)
	if least > 0 {
		st.add(` AND response_time_ms >= ?`, least)
	}
	return collectRequests(ctx, tx, st.add(by+` LIMIT ?`, limit))
}

func collectRequests(ctx context.Context, tx pgx.Tx, st *statement) ([]api.RequestRecord, error) {
	list := []api.RequestRecord{}
	err := collect(ctx, tx, st, "list requests", func(rows pgx.Rows) error {
		var r api.RequestRecord
		err := rows.Scan(requestTargets(&r)...)
		r.Timestamp, r.ReceivedAt = r.Timestamp.UTC(), r.ReceivedAt.UTC()
		list = append(list, r)
		return err
	})
	return list, err
}
