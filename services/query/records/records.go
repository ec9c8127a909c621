package records

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// Record is a stored event of any kind. Its JSON is the contract's record.
type Record interface {
	// Targets are where the columns are scanned into.
	Targets() []any
	// Cells appends the record's cells of a CSV line.
	Cells(cells []string) []string
	// Key returns what rows are ordered and told apart by.
	Key() (time.Time, uuid.UUID)
	// UTC brings the times into UTC: the driver gives local ones.
	UTC()
}

// Kind is how stored events of one kind are read.
type Kind struct {
	Columns string   // as SQL
	Head    []string // of a CSV file
	New     func() Record
}

// Of returns how events of a kind are read. The kind must be one of event.Kinds.
func Of(k event.Kind) Kind { return kinds[k] }

// Rows is what a query returns; pgx.Rows is one.
type Rows interface{ Scan(targets ...any) error }

// Scan reads the row the cursor stands on into r.
func Scan(rows Rows, r Record) error {
	err := rows.Scan(r.Targets()...)
	r.UTC()
	return err
}

func uuidCell(id uuid.UUID) string { return id.String() }

func timeCell(t time.Time) string { return t.Format(time.RFC3339Nano) }

func statusCell(n int) string { return strconv.Itoa(n) }

func numberCell(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func objectCell(raw json.RawMessage) string { return string(raw) }

func counterCellOf(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

func boolCellOf(b *bool) string {
	if b == nil {
		return ""
	}
	return strconv.FormatBool(*b)
}

func textCellOf(s *string) string {
	if s == nil {
		return ""
	}
	return textCell(*s)
}

// textCell keeps a spreadsheet from taking text for a formula: what people's
// browsers send ends in an administrator's. NDJSON has the text as it is.
func textCell(s string) string {
	if s != "" {
		switch s[0] {
		case '=', '+', '-', '@', '\t', '\r':
			return "'" + s
		}
	}
	return s
}
