package query

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
)

const (
	// exportPage is how many rows are held at once.
	exportPage = 2000
	// exportSlice bounds the time one statement looks through, so that a filter
	// that matches next to nothing cannot make it scan a week.
	exportSlice = 6 * time.Hour
	// exportPatience is how long a client may take to read a page.
	exportPatience = 60 * time.Second
)

type exportRequest struct {
	rng      timeRange
	kind     event.Kind
	format   api.ExportFormat
	requests requestFilter
	events   filter
	user     string
}

func (s *Service) export() httpapi.Route {
	return httpapi.Streamed[exportRequest]{
		Method: http.MethodGet, Path: "/api/v1/metrics/export", Access: httpapi.Admin,
		Decode: func(r *http.Request) (exportRequest, error) {
			p, rng := s.open(r)
			p.required("kind", 20)
			req := exportRequest{rng: rng, kind: choice(p, "kind", "", event.KindPerformance, event.KindUsage),
				format: choice(p, "format", api.ExportNDJSON, api.ExportNDJSON, api.ExportCSV), user: p.text("user_id", 255)}
			if req.kind == event.KindPerformance {
				req.requests = p.detailedRequestFilter()
			} else {
				req.events = p.eventFilter()
			}
			return req, p.err
		},
		Write: s.writeExport,
	}.Route()
}

// writeExport streams the rows page by page, oldest first. Each page is read in
// a snapshot of its own: one for all of it would keep the database from cleaning
// up for as long as a slow client cares to read. So that no row is missing all
// the same, the export breaks off should the purge line pass the place it is at.
func (s *Service) writeExport(w http.ResponseWriter, r *http.Request, _ auth.Caller, req exportRequest) error {
	at := cursor{from: req.rng.start}
	out := newExportWriter(w, req)
	control := http.NewResponseController(w)
	for first := true; !at.done; first = false {
		rows, next, err := s.readExport(r.Context(), req, at, first)
		if err != nil {
			return err
		}
		// Not every writer has deadlines (those of tests do not): then there is none to extend.
		_ = control.SetWriteDeadline(time.Now().Add(exportPatience))
		if first {
			out.begin()
		}
		if err := out.write(rows); err != nil {
			return err
		}
		if err := control.Flush(); err != nil {
			return fmt.Errorf("flush export: %w", err)
		}
		at = next
	}
	return nil
}

// cursor is the place an export has reached.
type cursor struct {
	from time.Time // rows before it are written
	last *[16]byte // and those at it, up to this id
	done bool
}

// readExport reads the next page and says where the one after it begins.
func (s *Service) readExport(ctx context.Context, req exportRequest, at cursor, first bool) (page []exportRow, next cursor, err error) {
	err = s.store.snapshot(ctx, func(ctx context.Context, tx pgx.Tx) error {
		c, err := readCoverage(ctx, tx, req.rng.end, req.rng.end)
		if err != nil {
			return err
		}
		if at.from.Before(c.purged) {
			if !first {
				return fault.New(fault.Unavailable, "Rows were purged while they were exported")
			}
			at.from = c.purged
		}
		page, next = nil, cursor{from: earlier(at.from.Add(exportSlice), req.rng.end)}
		if !at.from.Before(req.rng.end) {
			next.done = true
			return nil
		}
		page, err = readPage(ctx, tx, req, at, next.from)
		if len(page) == exportPage {
			last := page[len(page)-1]
			next = cursor{from: last.at, last: &last.id}
		} else {
			next.done = !next.from.Before(req.rng.end)
		}
		return err
	})
	return page, next, err
}

func readPage(ctx context.Context, tx pgx.Tx, req exportRequest, at cursor, to time.Time) ([]exportRow, error) {
	var st statement
	if req.kind == event.KindPerformance {
		st.add(`SELECT ` + requestColumns + ` FROM performance_metrics WHERE `)
	} else {
		st.add(`SELECT ` + usageColumns + ` FROM usage_events WHERE `)
	}
	st.within([]span{{at.from, to}})
	if at.last != nil {
		st.add(` AND ("timestamp", id) > (?, ?)`, at.from, *at.last)
	}
	if req.kind == event.KindPerformance {
		f := req.requests
		f.user = req.user
		st.requestsLike(f)
	} else {
		st.eventsOf(req.events).equal("user_id", req.user)
	}
	st.add(` ORDER BY "timestamp", id LIMIT ?`, exportPage)
	page := make([]exportRow, 0, exportPage)
	err := collect(ctx, tx, &st, "export", func(rows pgx.Rows) error {
		row, err := scanExport(rows, req.kind)
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
