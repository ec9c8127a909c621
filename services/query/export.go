package query

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/records"
)

// exportPatience is how long a client may take to read a page.
const exportPatience = 60 * time.Second

type exportRequest struct {
	records.ExportQuestion

	format api.ExportFormat
}

// exportFilter is the filter of one kind of event.
type exportFilter struct {
	only []string // parameters that no other kind has
	read func(*params) records.ExportFilter
}

var exportFilters = map[event.Kind]exportFilter{
	event.KindPerformance: {only: []string{"endpoint", "method", "status_class", "error_type"},
		read: func(p *params) records.ExportFilter { return records.FilterRequests(p.detailedRequestFilter()) }},
	event.KindUsage: {only: []string{"event_type"},
		read: func(p *params) records.ExportFilter {
			return records.FilterEvents(p.eventFilter(), p.text("user_id", 255), p.text("interaction_id", 255))
		}},
}

func (s *Service) export() httpapi.Route {
	return httpapi.Streamed[exportRequest]{
		Method: http.MethodGet, Path: "/api/v1/metrics/export", Access: httpapi.Reader,
		Query:  with("kind", "format", "app", "endpoint", "method", "status_class", "error_type", "event_type", "user_id", "interaction_id"),
		Decode: s.decodeExport,
		Write:  s.writeExport,
	}.Route()
}

// decodeExport refuses filters that the kind does not have: ignoring them would
// export more than was asked for.
func (s *Service) decodeExport(r *http.Request) (exportRequest, error) {
	p, rng := s.open(r)
	p.required("kind", 20)
	req := exportRequest{format: choice(p, "format", api.ExportNDJSON, api.ExportNDJSON, api.ExportCSV),
		ExportQuestion: records.ExportQuestion{Range: rng, Kind: choice(p, "kind", "", event.Kinds()...)}}
	for _, kind := range event.Kinds() {
		for _, name := range exportFilters[kind].only {
			if kind != req.Kind && p.given(name) {
				p.fail(fault.Refuse(name, "other_kind", "%s is no filter of rows of kind %s", name, req.Kind))
			}
		}
	}
	if filter, known := exportFilters[req.Kind]; known {
		req.Filter = filter.read(p)
	}
	return req, p.err
}

// writeExport streams the rows page by page, oldest first. Each page is read in a
// snapshot of its own, because one snapshot for all would keep Postgres from
// vacuuming for as long as a slow client reads. If rows are purged that were not
// yet written, the export fails instead of leaving them out.
func (s *Service) writeExport(w http.ResponseWriter, r *http.Request, _ auth.Caller, req exportRequest) error {
	at := records.StartExport(req.ExportQuestion)
	out := newExportWriter(w, req)
	control := http.NewResponseController(w)
	for first := true; !at.Done; first = false {
		rows, next, err := s.readExport(r.Context(), req.ExportQuestion, at)
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

// readExport reads the next page and says where the one after it begins.
func (s *Service) readExport(ctx context.Context, q records.ExportQuestion, at records.Cursor) (page []records.Record, next records.Cursor, err error) {
	err = s.store.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		page, next, err = records.ReadExportPage(ctx, tx, q, at)
		if err != nil || len(page) > 0 || !at.First() {
			return err
		}
		return history.RequireApp(ctx, tx, q.App(), s.now())
	})
	return page, next, err
}
