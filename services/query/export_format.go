package query

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/lakepulse/lakepulse/api"
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
	header.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="lakepulse-%s-%s-%s-%s.%s"`, e.req.Kind,
		fileName(e.req.App()), e.req.Range.Start.Format(stamp), e.req.Range.End.Format(stamp), extension))
	e.w.WriteHeader(http.StatusOK)
	if e.req.format == api.ExportCSV {
		e.buffer.WriteString(byteOrderMark)
		e.line(records.Of(e.req.Kind).Head)
	}
}

// byteOrderMark tells Excel that a file is UTF-8; it takes the letters for those
// of the system's code page otherwise.
const byteOrderMark = "\ufeff"

// fileName is an app as part of a file name: letters that a header or a file
// system could misread become "_".
func fileName(app string) string {
	if app == "" {
		return "all-apps"
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("._-", r) || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' {
			return r
		}
		return '_'
	}, app)
}

// write sends a page.
func (e *exportWriter) write(page []records.Record) error {
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

func (e *exportWriter) row(row records.Record) error {
	if e.req.format == api.ExportCSV {
		e.cells = row.Cells(e.cells[:0])
		e.line(e.cells)
		return nil
	}
	data, err := json.Marshal(row)
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
