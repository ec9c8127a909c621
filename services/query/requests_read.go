package query

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
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

func requestsLike(s *statement, f requestFilter) *statement {
	return s.requestsOf(f.filter).add(statusClasses[f.statusClass]).equal("error_type", f.errorType).
		equal("user_id", f.user).equal("interaction_id", f.interaction)
}

// requestColumns are the columns of a RequestRecord, in the order of targets.
const requestColumns = `id, "timestamp", received_at, app, instance, endpoint, method, status_code, response_time_ms, user_id, error_type,
	app_version, session_id, interaction_id, trace_id, correlation_id, seq`

func requestTargets(r *api.RequestRecord) []any {
	return []any{(*[16]byte)(&r.ID), &r.Timestamp, &r.ReceivedAt, &r.App, &r.Instance, &r.Endpoint, &r.Method, &r.StatusCode,
		&r.ResponseTimeMs, &r.UserID, &r.ErrorType, &r.AppVersion, &r.SessionID, &r.InteractionID, &r.TraceID, &r.CorrelationID, &r.Seq}
}

// listRequests returns the first requests of an order in the raw window.
func listRequestsOf(ctx context.Context, tx pgx.Tx, v *view, f requestFilter, order api.RequestOrder, limit int) ([]api.RequestRecord, error) {
	if order == api.OrderSlowest {
		return listSlowest(ctx, tx, v, f, limit)
	}
	return listRecent(ctx, tx, v, f, limit)
}

// listRecent reads along the key for as long as that finds what is asked for.
// Where the last rows hold too few of it, it is rare: reading all others as they
// lie and sorting what is found costs a fifth of going on row by row.
func listRecent(ctx context.Context, tx pgx.Tx, v *view, f requestFilter, limit int) ([]api.RequestRecord, error) {
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
	st.add(`SELECT * FROM (SELECT ` + requestColumns + ` FROM performance_metrics WHERE `).within([]span{far})
	requestsLike(&st, f).add(` OFFSET 0) AS rare ORDER BY "timestamp" DESC, id DESC LIMIT ?`, limit-len(list)) // OFFSET keeps the key out of it
	rest, err := collectRequests(ctx, tx, &st)
	return append(list, rest...), err
}

// listSlowest lets Postgres throw away early what cannot be among the slowest,
// as far as aggregates know how slow that is. Whatever they say, as many rows as
// were asked for, none of them faster than all that were left out, are the slowest.
func listSlowest(ctx context.Context, tx pgx.Tx, v *view, f requestFilter, limit int) ([]api.RequestRecord, error) {
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

// listRequests returns the first requests of an order that took least or longer.
func listRequests(ctx context.Context, tx pgx.Tx, spans []span, f requestFilter, order api.RequestOrder, limit int, least float64) ([]api.RequestRecord, error) {
	by := ` ORDER BY "timestamp" DESC, id DESC`
	if order == api.OrderSlowest {
		by = ` ORDER BY response_time_ms DESC, "timestamp" DESC, id DESC`
	}
	var st statement
	requestsLike(st.add(`SELECT `+requestColumns+` FROM performance_metrics WHERE `).within(spans), f)
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

// maxSlowest bounds the slowest requests of an endpoint's view.
const maxSlowest = 20

// slowest lists the slowest requests of the raw window. Each of the slowest 20
// lies in one of the 20 hours whose slowest request is slowest, and aggregates
// know those: a scan of the whole window is needed only where there are none.
func listSlowestOf(ctx context.Context, tx pgx.Tx, v *view, f filter) ([]api.RequestRecord, error) {
	spans, err := v.slowHours(ctx, tx, f, maxSlowest)
	if err != nil || len(spans) == 0 {
		return []api.RequestRecord{}, err
	}
	return listRequests(ctx, tx, spans, requestFilter{filter: f}, api.OrderSlowest, maxSlowest, 0)
}
