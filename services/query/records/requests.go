package records

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// RequestFilter narrows the requests themselves, by more than aggregates know.
type RequestFilter struct {
	snapshot.Filter

	StatusClass api.StatusClass
	ErrorType   string
	User        string
	Interaction string
}

// statusClasses are the conditions of each class.
var statusClasses = map[api.StatusClass]string{
	api.StatusClass2Xx:   ` AND status_code >= 200 AND status_code < 300`,
	api.StatusClass3Xx:   ` AND status_code >= 300 AND status_code < 400`,
	api.StatusClass4Xx:   ` AND status_code >= 400 AND status_code < 500`,
	api.StatusClass5Xx:   ` AND status_code >= 500 AND status_code < 600`,
	api.StatusClassError: ` AND status_code >= 400`,
}

func matchRequests(s *snapshot.Statement, f RequestFilter) *snapshot.Statement {
	return s.MatchRequests(f.Filter).Add(statusClasses[f.StatusClass]).Equal("error_type", f.ErrorType).
		Equal("user_id", f.User).Equal("interaction_id", f.Interaction)
}

// ListRequests returns the first requests of an order in the raw window.
func ListRequests(ctx context.Context, tx pgx.Tx, v *history.View, f RequestFilter, order api.RequestOrder, limit int) ([]api.RequestRecord, error) {
	if order == api.OrderSlowest {
		return readSlowest(ctx, tx, v, f, limit)
	}
	return readRecent(ctx, tx, v, f, limit)
}

// readRecent reads along the key for as long as that finds what is asked for.
// Where the last rows hold too few of it, it is rare: reading all others as they
// lie and sorting what is found costs a fifth of going on row by row.
func readRecent(ctx context.Context, tx pgx.Tx, v *history.View, f RequestFilter, limit int) ([]api.RequestRecord, error) {
	near := v.LastRows(history.ListedRows)
	list, err := readRequests(ctx, tx, near, f, api.OrderRecent, limit, 0)
	if err != nil || len(list) >= limit || len(near) == 0 {
		return list, err
	}
	far := snapshot.Span{From: v.RawWindow()[0].From, To: near[0].From}
	if far.Empty() {
		return list, nil
	}
	var st snapshot.Statement
	st.Add(`SELECT * FROM (SELECT ` + PerformanceColumns + ` FROM performance_metrics WHERE `).Within([]snapshot.Span{far})
	matchRequests(&st, f).Add(` OFFSET 0) AS rare ORDER BY "timestamp" DESC, id DESC LIMIT ?`, limit-len(list)) // OFFSET keeps the key out of it
	rest, err := collectRequests(ctx, tx, &st)
	return append(list, rest...), err
}

// readSlowest lets Postgres throw away early what cannot be among the slowest,
// as far as aggregates know how slow that is. Whatever they say, as many rows as
// were asked for, none of them faster than all that were left out, are the slowest.
func readSlowest(ctx context.Context, tx pgx.Tx, v *history.View, f RequestFilter, limit int) ([]api.RequestRecord, error) {
	least := 0.0
	if f == (RequestFilter{Filter: f.Filter}) { // aggregates know no other filter
		var err error
		if least, err = v.LeastOfSlowest(ctx, tx, f.Filter, limit); err != nil {
			return nil, err
		}
	}
	list, err := readRequests(ctx, tx, v.RawWindow(), f, api.OrderSlowest, limit, least)
	if err != nil || len(list) >= limit || least == 0 {
		return list, err
	}
	return readRequests(ctx, tx, v.RawWindow(), f, api.OrderSlowest, limit, 0)
}

// readRequests returns the first requests of an order that took least or longer.
func readRequests(ctx context.Context, tx pgx.Tx, spans []snapshot.Span, f RequestFilter, order api.RequestOrder, limit int, least float64) ([]api.RequestRecord, error) {
	by := ` ORDER BY "timestamp" DESC, id DESC`
	if order == api.OrderSlowest {
		by = ` ORDER BY response_time_ms DESC, "timestamp" DESC, id DESC`
	}
	var st snapshot.Statement
	matchRequests(st.Add(`SELECT `+PerformanceColumns+` FROM performance_metrics WHERE `).Within(spans), f)
	if least > 0 {
		st.Add(` AND response_time_ms >= ?`, least)
	}
	return collectRequests(ctx, tx, st.Add(by+` LIMIT ?`, limit))
}

func collectRequests(ctx context.Context, tx pgx.Tx, st *snapshot.Statement) ([]api.RequestRecord, error) {
	list := []api.RequestRecord{}
	err := snapshot.Collect(ctx, tx, st, "list requests", func(rows pgx.Rows) error {
		var r Performance
		err := Scan(rows, &r)
		list = append(list, r.RequestRecord)
		return err
	})
	return list, err
}

// maxSlowest bounds the slowest requests of an endpoint's view.
const maxSlowest = 20

// ListSlowest lists the slowest requests of the raw window. Each of the slowest 20
// lies in one of the 20 hours whose slowest request is slowest, and aggregates
// know those: a scan of the whole window is needed only where there are none.
func ListSlowest(ctx context.Context, tx pgx.Tx, v *history.View, f snapshot.Filter) ([]api.RequestRecord, error) {
	spans, err := v.FindSlowHours(ctx, tx, f, maxSlowest)
	if err != nil || len(spans) == 0 {
		return []api.RequestRecord{}, err
	}
	return readRequests(ctx, tx, spans, RequestFilter{Filter: f}, api.OrderSlowest, maxSlowest, 0)
}
