package query

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
)

const (
	// exportPage is how many rows are held at once.
	exportPage = 2000
	// exportSlice bounds the time one statement looks through, so that a filter
	// that matches next to nothing cannot make it scan a week.
	exportSlice = 6 * time.Hour
)

// exportQuestion is which rows are exported: all of a kind in a range that match
// the filter of that kind.
type exportQuestion struct {
	rng      timeRange
	kind     event.Kind
	requests requestFilter
	events   filter
	user     string
}

// startExport is the cursor before the first row of a question.
func startExport(q exportQuestion) cursor { return cursor{from: q.rng.start} }

// cursor is the place an export has reached.
type cursor struct {
	from  time.Time // rows before it are written
	last  *[16]byte // and those at it, up to this id
	begun bool      // at least one page was read
	done  bool
}

// readExportPage reads the page at a cursor and says where the next one begins.
func readExportPage(ctx context.Context, tx pgx.Tx, q exportQuestion, at cursor) (page []exportRow, next cursor, err error) {
	purged, err := readPurgeLine(ctx, tx)
	if err != nil {
		return nil, at, err
	}
	if at.from.Before(purged) {
		if at.begun {
			return nil, at, fault.New(fault.Unavailable, "Rows were purged while they were exported")
		}
		at.from = purged
	}
	next = cursor{from: at.from.Add(exportSlice), begun: true}
	if next.from.After(q.rng.end) {
		next.from = q.rng.end
	}
	if !at.from.Before(q.rng.end) {
		next.done = true
		return nil, next, nil
	}
	page, err = readPage(ctx, tx, q, at, next.from)
	if len(page) == exportPage {
		last := page[len(page)-1]
		next.from, next.last = last.at, &last.id
	} else {
		next.done = !next.from.Before(q.rng.end)
	}
	return page, next, err
}

func readPage(ctx context.Context, tx pgx.Tx, q exportQuestion, at cursor, to time.Time) ([]exportRow, error) {
	var st statement
	if q.kind == event.KindPerformance {
		st.add(`SELECT ` + requestColumns + ` FROM performance_metrics WHERE `)
	} else {
		st.add(`SELECT ` + usageColumns + ` FROM usage_events WHERE `)
	}
	st.within([]span{{at.from, to}})
	if at.last != nil {
		st.add(` AND ("timestamp", id) > (?, ?)`, at.from, *at.last)
	}
	if q.kind == event.KindPerformance {
		f := q.requests
		f.user = q.user
		requestsLike(&st, f)
	} else {
		st.eventsOf(q.events).equal("user_id", q.user)
	}
	st.add(` ORDER BY "timestamp", id LIMIT ?`, exportPage)
	page := make([]exportRow, 0, exportPage)
	err := collect(ctx, tx, &st, "export", func(rows pgx.Rows) error {
		row, err := scanExport(rows, q.kind)
		page = append(page, row)
		return err
	})
	return page, err
}

// exportRow is one row as it goes out: one of the two.
type exportRow struct {
	at      time.Time
	id      [16]byte
	request *api.RequestRecord
	usage   *usageRecord
}

// usageRecord is the contract's UsageRecord with metadata left as it is stored:
// decoding it would cost time and the last digits of large numbers.
type usageRecord struct {
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

func scanExport(rows pgx.Rows, kind event.Kind) (exportRow, error) {
	if kind == event.KindPerformance {
		r := new(api.RequestRecord)
		err := rows.Scan(requestTargets(r)...)
		r.Timestamp, r.ReceivedAt = r.Timestamp.UTC(), r.ReceivedAt.UTC()
		return exportRow{at: r.Timestamp, id: r.ID, request: r}, err
	}
	u := new(usageRecord)
	err := rows.Scan((*[16]byte)(&u.ID), &u.Timestamp, &u.ReceivedAt, &u.App, &u.EventType, &u.UserID, &u.PageName, &u.ElementID,
		&u.Success, &u.Metadata, &u.AppVersion, &u.SessionID, &u.InteractionID, &u.Seq)
	u.Timestamp, u.ReceivedAt = u.Timestamp.UTC(), u.ReceivedAt.UTC()
	return exportRow{at: u.Timestamp, id: u.ID, usage: u}, err
}
