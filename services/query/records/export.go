package records

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

const (
	// ExportPageRows is how many rows are held at once.
	ExportPageRows = 2000
	// exportSlice bounds the time one statement looks through, so that a filter
	// that matches next to nothing cannot make it scan a week.
	exportSlice = 6 * time.Hour
)

// ExportQuestion is which rows are exported: all of a kind in a range that match
// the filter of that kind.
type ExportQuestion struct {
	Range history.Range
	Kind  event.Kind
	// Filter narrows the rows; the zero filter leaves all.
	Filter ExportFilter
}

// App is the app of the question's filter, "" for all.
func (q ExportQuestion) App() string { return q.Filter.app }

// ExportFilter is the conditions of one kind of event.
type ExportFilter struct {
	app   string
	match func(*snapshot.Statement)
}

// FilterEvents returns the filter of an export of usage events. user and
// interaction narrow it further, "" is all.
func FilterEvents(f snapshot.Filter, user, interaction string) ExportFilter {
	return ExportFilter{app: f.App, match: func(st *snapshot.Statement) {
		st.MatchEvents(f).Equal("user_id", user).Equal("interaction_id", interaction)
	}}
}

// FilterRequests returns the filter of an export of requests.
func FilterRequests(f RequestFilter) ExportFilter {
	return ExportFilter{app: f.App, match: func(st *snapshot.Statement) { matchRequests(st, f) }}
}

// StartExport is the cursor before the first row of a question.
func StartExport(q ExportQuestion) Cursor { return Cursor{from: q.Range.Start} }

// Cursor is the place an export has reached.
type Cursor struct {
	from  time.Time // rows before it are written
	last  *[16]byte // and those at it, up to this id
	begun bool      // at least one page was read
	Done  bool
}

// First reports whether no page was read yet.
func (c Cursor) First() bool { return !c.begun }

// ReadExportPage reads the page at a cursor and says where the next one begins.
func ReadExportPage(ctx context.Context, tx pgx.Tx, q ExportQuestion, at Cursor) (page []Record, next Cursor, err error) {
	purged, err := history.ReadPurgeLine(ctx, tx)
	if err != nil {
		return nil, at, err
	}
	if at.from.Before(purged) {
		if at.begun {
			return nil, at, fault.New(fault.Unavailable, "Rows were purged while they were exported")
		}
		at.from = purged
	}
	next = Cursor{from: at.from.Add(exportSlice), begun: true}
	if next.from.After(q.Range.End) {
		next.from = q.Range.End
	}
	if !at.from.Before(q.Range.End) {
		next.Done = true
		return nil, next, nil
	}
	page, err = readPage(ctx, tx, q, at, next.from)
	if len(page) == ExportPageRows {
		at, id := page[len(page)-1].Key()
		next.from, next.last = at, (*[16]byte)(&id)
	} else {
		next.Done = !next.from.Before(q.Range.End)
	}
	return page, next, err
}

func readPage(ctx context.Context, tx pgx.Tx, q ExportQuestion, at Cursor, to time.Time) ([]Record, error) {
	var st snapshot.Statement
	kind := Of(q.Kind)
	st.Add(`SELECT ` + kind.Columns + ` FROM ` + q.Kind.RawTable() + ` WHERE `)
	st.Within([]snapshot.Span{{From: at.from, To: to}})
	if at.last != nil {
		st.Add(` AND ("timestamp", id) > (?, ?)`, at.from, *at.last)
	}
	if q.Filter.match != nil {
		q.Filter.match(&st)
	}
	st.Add(` ORDER BY "timestamp", id LIMIT ?`, ExportPageRows)
	page := make([]Record, 0, ExportPageRows)
	err := snapshot.Collect(ctx, tx, &st, "export", func(rows pgx.Rows) error {
		row := kind.New()
		page = append(page, row)
		return Scan(rows, row)
	})
	return page, err
}
