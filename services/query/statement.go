package query

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// statement is SQL in the making. Values only ever enter as parameters; the
// text is put together from constants of this package.
type statement struct {
	text strings.Builder
	args []any
}

// add appends text in which each ? stands for the next of the values.
func (s *statement) add(text string, values ...any) *statement {
	for _, v := range values {
		before, after, _ := strings.Cut(text, "?")
		s.text.WriteString(before)
		s.text.WriteString(s.arg(v))
		text = after
	}
	s.text.WriteString(text)
	return s
}

// arg makes v a parameter and returns its place.
func (s *statement) arg(v any) string {
	s.args = append(s.args, v)
	return "$" + strconv.Itoa(len(s.args))
}

func (s *statement) String() string { return s.text.String() }

// rawTime is the column of raw rows that says when.
const rawTime = `"timestamp"`

// span is a stretch of time, from inclusive, to exclusive.
type span struct{ from, to time.Time }

func (s span) empty() bool { return !s.from.Before(s.to) }

// rawTable returns the table of a kind's raw rows.
func rawTable(kind event.Kind) string {
	if kind == event.KindUsage {
		return "usage_events"
	}
	return "performance_metrics"
}

// within appends the condition that rows of a raw table lie in one of the spans.
func (s *statement) within(spans []span) *statement { return s.in(rawTime, spans) }

// in appends the condition that a column of times lies in one of the spans.
// Bounds on the bare column let Postgres skip partitions and use the key.
func (s *statement) in(column string, spans []span) *statement {
	if len(spans) == 0 {
		return s.add("false")
	}
	s.add("(")
	for i, sp := range spans {
		if i > 0 {
			s.add(" OR ")
		}
		s.add(column+" >= ? AND "+column+" < ?", sp.from, sp.to)
	}
	return s.add(")")
}

// filter narrows a question; "" is everything.
type filter struct {
	app       string
	endpoint  string
	method    string
	eventType string
}

// namedApp returns the app, nil where the filter names none.
func (f filter) namedApp() *string {
	if f.app == "" {
		return nil
	}
	return &f.app
}

// requestsOf appends what narrows requests to the filter.
func (s *statement) requestsOf(f filter) *statement {
	return s.equal("app", f.app).equal("endpoint", f.endpoint).equal("method", f.method)
}

// eventsOf appends what narrows usage events to the filter.
func (s *statement) eventsOf(f filter) *statement {
	return s.equal("app", f.app).equal("event_type", f.eventType)
}

func (s *statement) equal(column, value string) *statement {
	if value == "" {
		return s
	}
	return s.add(fmt.Sprintf(" AND %s = ?", column), value)
}
