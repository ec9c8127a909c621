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

// exportFilters read the parameters that narrow an export, by kind.
var exportFilters = map[event.Kind]func(*params) records.ExportFilter{
	event.KindPerformance: func(p *params) records.ExportFilter { return records.FilterRequests(p.detailedRequestFilter()) },
	event.KindUsage:       func(p *params) records.ExportFilter { return records.FilterEvents(p.eventFilter()) },
}

func (s *Service) export() httpapi.Route {
	return httpapi.Streamed[exportRequest]{
		Method: http.MethodGet, Path: "/api/v1/metrics/export", Access: httpapi.Reader,
		Decode: func(r *http.Request) (exportRequest, error) {
			p, rng := s.open(r)
			p.required("kind", 20)
			req := exportRequest{format: choice(p, "format", api.ExportNDJSON, api.ExportNDJSON, api.ExportCSV),
				ExportQuestion: records.ExportQuestion{Range: rng, Kind: choice(p, "kind", "", event.Kinds()...),
					User: p.text("user_id", 255)}}
			if conditions := exportFilters[req.Kind]; conditions != nil {
				req.Filter = conditions(p)
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
