package records

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

const (
	// exportPage is how many rows are held at once.
	ExportPageRows = 2000
	// exportSlice bounds the time one statement looks through, so that a filter
	// that matches next to nothing cannot make it scan a week.
	exportSlice = 6 * time.Hour
)

// ExportQuestion is which rows are exported: all of a kind in a range that match
// the filter of that kind.
type ExportQuestion struct {
	Range    history.Range
	Kind     event.Kind
	Requests RequestFilter
	Events   snapshot.Filter
	User     string
}

// App is the app of the question's filter, "" for all.
func (q ExportQuestion) App() string {
	if q.Kind == event.KindUsage {
		return q.Events.App
	}
	return q.Requests.App
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
func ReadExportPage(ctx context.Context, tx pgx.Tx, q ExportQuestion, at Cursor) (page []ExportRow, next Cursor, err error) {
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
		last := page[len(page)-1]
		next.from, next.last = last.at, &last.id
	} else {
		next.Done = !next.from.Before(q.Range.End)
	}
	return page, next, err
}

func readPage(ctx context.Context, tx pgx.Tx, q ExportQuestion, at Cursor, to time.Time) ([]ExportRow, error) {
	var st snapshot.Statement
	if q.Kind == event.KindPerformance {
		st.Add(`SELECT ` + requestColumns + ` FROM performance_metrics WHERE `)
	} else {
		st.Add(`SELECT ` + usageColumns + ` FROM usage_events WHERE `)
	}
	st.Within([]snapshot.Span{{From: at.from, To: to}})
	if at.last != nil {
		st.Add(` AND ("timestamp", id) > (?, ?)`, at.from, *at.last)
	}
	if q.Kind == event.KindPerformance {
		f := q.Requests
		f.User = q.User
		matchRequests(&st, f)
	} else {
		st.MatchEvents(q.Events).Equal("user_id", q.User)
	}
	st.Add(` ORDER BY "timestamp", id LIMIT ?`, ExportPageRows)
	page := make([]ExportRow, 0, ExportPageRows)
	err := snapshot.Collect(ctx, tx, &st, "export", func(rows pgx.Rows) error {
		row, err := scanExport(rows, q.Kind)
		page = append(page, row)
		return err
	})
	return page, err
}

// ExportRow is one row as it goes out: one of the two.
type ExportRow struct {
	at      time.Time
	id      [16]byte
	Request *api.RequestRecord
	Usage   *UsageRecord
}

// UsageRecord is the contract's UsageRecord with metadata left as it is stored:
// decoding it would cost time and the last digits of large numbers.
type UsageRecord struct {
	ID            uuid.UUID       `json:"id"`
	Timestamp     time.Time       `json:"timestamp"`
	ReceivedAt    time.Time       `json:"received_at"`
	App           string          `json:"app"`
	EventType     string          `json:"event_type"`
	UserID        string          `json:"user_id"`
	PageName      *string         `json:"page_name,omitempty"`
	ElementID     *string         `json:"element_id,omitempty"`
	Success       *bool           `json:"success,omitempty"`
	Metadata      json.RawMessage `json:"metadata,omitempty"`
	AppVersion    *string         `json:"app_version,omitempty"`
	SessionID     *string         `json:"session_id,omitempty"`
	InteractionID *string         `json:"interaction_id,omitempty"`
	Seq           *int64          `json:"seq,omitempty"`
}

const usageColumns = `id, "timestamp", received_at, app, event_type, user_id, page_name, element_id, success, metadata,
	app_version, session_id, interaction_id, seq`

func scanExport(rows pgx.Rows, kind event.Kind) (ExportRow, error) {
	if kind == event.KindPerformance {
		r := new(api.RequestRecord)
		err := rows.Scan(requestTargets(r)...)
		r.Timestamp, r.ReceivedAt = r.Timestamp.UTC(), r.ReceivedAt.UTC()
		return ExportRow{at: r.Timestamp, id: r.ID, Request: r}, err
	}
	u := new(UsageRecord)
	err := rows.Scan((*[16]byte)(&u.ID), &u.Timestamp, &u.ReceivedAt, &u.App, &u.EventType, &u.UserID, &u.PageName, &u.ElementID,
		&u.Success, &u.Metadata, &u.AppVersion, &u.SessionID, &u.InteractionID, &u.Seq)
	u.Timestamp, u.ReceivedAt = u.Timestamp.UTC(), u.ReceivedAt.UTC()
	return ExportRow{at: u.Timestamp, id: u.ID, Usage: u}, err
}
