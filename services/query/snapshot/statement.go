package snapshot

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// Statement is SQL in the making. Values only ever enter as parameters; the
// text is put together from constants of this package.
type Statement struct {
	Text strings.Builder
	args []any
}

// Add appends text in which each ? stands for the next of the values.
func (s *Statement) Add(text string, values ...any) *Statement {
	for _, v := range values {
		before, after, _ := strings.Cut(text, "?")
		s.Text.WriteString(before)
		s.Text.WriteString(s.Arg(v))
		text = after
	}
	s.Text.WriteString(text)
	return s
}

// Arg makes v a parameter and returns its place.
func (s *Statement) Arg(v any) string {
	s.args = append(s.args, v)
	return "$" + strconv.Itoa(len(s.args))
}

func (s *Statement) String() string { return s.Text.String() }

// RawTime is the column of raw rows that says when.
const RawTime = `"timestamp"`

// Span is a stretch of time, from inclusive, to exclusive.
type Span struct{ From, To time.Time }

func (s Span) Empty() bool { return !s.From.Before(s.To) }

// RawTable returns the table of a kind's raw rows.
func RawTable(kind event.Kind) string {
	if kind == event.KindUsage {
		return "usage_events"
	}
	return "performance_metrics"
}

// Within appends the condition that rows of a raw table lie in one of the spans.
func (s *Statement) Within(spans []Span) *Statement { return s.In(RawTime, spans) }

// In appends the condition that a column of times lies in one of the spans.
// Bounds on the bare column let Postgres skip partitions and use the key.
func (s *Statement) In(column string, spans []Span) *Statement {
	if len(spans) == 0 {
		return s.Add("false")
	}
	s.Add("(")
	for i, sp := range spans {
		if i > 0 {
			s.Add(" OR ")
		}
		s.Add(column+" >= ? AND "+column+" < ?", sp.From, sp.To)
	}
	return s.Add(")")
}

// Filter narrows a question; "" is everything.
type Filter struct {
	App       string
	Endpoint  string
	Method    string
	EventType string
}

// NamedApp returns the app, nil where the filter names none.
func (f Filter) NamedApp() *string {
	if f.App == "" {
		return nil
	}
	return &f.App
}

// MatchRequests appends what narrows requests to the filter.
func (s *Statement) MatchRequests(f Filter) *Statement {
	return s.Equal("app", f.App).Equal("endpoint", f.Endpoint).Equal("method", f.Method)
}

// MatchEvents appends what narrows usage events to the filter.
func (s *Statement) MatchEvents(f Filter) *Statement {
	return s.Equal("app", f.App).Equal("event_type", f.EventType)
}

func (s *Statement) Equal(column, value string) *Statement {
	if value == "" {
		return s
	}
	return s.Add(fmt.Sprintf(" AND %s = ?", column), value)
}
