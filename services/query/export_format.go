package query

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/services/query/records"
)

// exportWriter writes rows in the format asked for.
type exportWriter struct {
	w      http.ResponseWriter
	req    exportRequest
	buffer bytes.Buffer
	csv    *csv.Writer
	cells  []string // of the line under way, used again for the next
}

func newExportWriter(w http.ResponseWriter, req exportRequest) *exportWriter {
	e := &exportWriter{w: w, req: req}
	e.csv = csv.NewWriter(&e.buffer)
	return e
}

// begin writes the head: from here on errors can only cut the connection.
func (e *exportWriter) begin() {
	contentType, extension := "application/x-ndjson", "ndjson"
	if e.req.format == api.ExportCSV {
		contentType, extension = "text/csv; charset=utf-8", "csv"
	}
	const stamp = "20060102T150405Z"
	header := e.w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="lakepulse-%s-%s-%s.%s"`, e.req.Kind,
		e.req.Range.Start.Format(stamp), e.req.Range.End.Format(stamp), extension))
	e.w.WriteHeader(http.StatusOK)
	if e.req.format == api.ExportCSV {
		e.head()
	}
}

var (
	requestHead = []string{"id", "timestamp", "received_at", "app", "instance", "endpoint", "method", "status_code", "response_time_ms",
		"user_id", "error_type", "app_version", "session_id", "interaction_id", "trace_id", "correlation_id", "seq"}
	usageHead = []string{"id", "timestamp", "received_at", "app", "event_type", "user_id", "page_name", "element_id", "success",
		"metadata", "app_version", "session_id", "interaction_id", "seq"}
)

func (e *exportWriter) head() {
	head := requestHead
	if e.req.Kind == event.KindUsage {
		head = usageHead
	}
	e.line(head)
}

// write sends a page.
func (e *exportWriter) write(page []records.ExportRow) error {
	for _, row := range page {
		if err := e.row(row); err != nil {
			return err
		}
	}
	e.csv.Flush()
	if _, err := e.w.Write(e.buffer.Bytes()); err != nil {
		return fmt.Errorf("send export: %w", err)
	}
	e.buffer.Reset()
	return nil
}

func (e *exportWriter) row(row records.ExportRow) error {
	if e.req.format == api.ExportCSV {
		if row.Request != nil {
			e.cells = requestCells(e.cells[:0], row.Request)
		} else {
			e.cells = usageCells(e.cells[:0], row.Usage)
		}
		e.line(e.cells)
		return nil
	}
	var data []byte
	var err error
	if row.Request != nil {
		data, err = json.Marshal(row.Request)
	} else {
		data, err = json.Marshal(row.Usage)
	}
	if err != nil {
		return fmt.Errorf("encode row: %w", err)
	}
	e.buffer.Write(data)
	e.buffer.WriteByte('\n')
	return nil
}

func (e *exportWriter) line(cells []string) {
	// Writing to a buffer cannot fail.
	_ = e.csv.Write(cells)
}

func requestCells(c []string, r *api.RequestRecord) []string {
	return append(c, r.ID.String(), stamp(r.Timestamp), stamp(r.ReceivedAt), cell(r.App), cellOf(r.Instance), cell(r.Endpoint),
		cell(r.Method), strconv.Itoa(r.StatusCode), strconv.FormatFloat(r.ResponseTimeMs, 'f', -1, 64), cellOf(r.UserID),
		cellOf(r.ErrorType), cellOf(r.AppVersion), cellOf(r.SessionID), cellOf(r.InteractionID), cellOf(r.TraceID),
		cellOf(r.CorrelationID), number(r.Seq))
}

func usageCells(c []string, u *records.UsageRecord) []string {
	success := ""
	if u.Success != nil {
		success = strconv.FormatBool(*u.Success)
	}
	return append(c, u.ID.String(), stamp(u.Timestamp), stamp(u.ReceivedAt), cell(u.App), cell(u.EventType), cell(u.UserID),
		cellOf(u.PageName), cellOf(u.ElementID), success, string(u.Metadata), cellOf(u.AppVersion), cellOf(u.SessionID),
		cellOf(u.InteractionID), number(u.Seq))
}

func stamp(t time.Time) string { return t.Format(time.RFC3339Nano) }

func number(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

func cellOf(s *string) string {
	if s == nil {
		return ""
	}
	return cell(*s)
}

// cell keeps a spreadsheet from taking text for a formula: what people's
// browsers send ends in an administrator's. NDJSON has the text as it is.
func cell(s string) string {
	if s != "" {
		switch s[0] {
		case '=', '+', '-', '@', '\t', '\r':
			return "'" + s
		}
	}
	return s
}
