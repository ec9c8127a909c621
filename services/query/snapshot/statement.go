package snapshot

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// Statement builds SQL. Values enter as parameters only: text that comes from a
// caller can never become part of a statement.
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

// Filter narrows a question; "" is everything, except that without an app
// Lakepulse's own records are left out.
type Filter struct {
	App       string
	Endpoint  string
	Method    string
	EventType string
	AllApps   bool // without an app, Lakepulse's own records as well
}

// NamedApp returns the app, nil where the filter names none.
func (f Filter) NamedApp() *string {
	if f.App == "" {
		return nil
	}
	return &f.App
}

// MatchApp appends the condition that a row is of the filter's app or, where it
// names none, of any app but Lakepulse's own: who looks at the dashboard must not
// change the numbers on it.
func (s *Statement) MatchApp(f Filter) *Statement { return s.MatchAppOf("app", f) }

// MatchAppOf is MatchApp on a column of another name.
func (s *Statement) MatchAppOf(column string, f Filter) *Statement {
	if f.App == "" && !f.AllApps {
		return s.Add(` AND `+column+` <> ?`, event.OwnApp)
	}
	return s.Equal(column, f.App)
}

// MatchRequests appends the conditions of a filter on rows of requests.
func (s *Statement) MatchRequests(f Filter) *Statement {
	return s.MatchApp(f).Equal("endpoint", f.Endpoint).Equal("method", f.Method)
}

// MatchEvents appends the conditions of a filter on rows of usage events.
func (s *Statement) MatchEvents(f Filter) *Statement {
	return s.MatchApp(f).Equal("event_type", f.EventType)
}

// Equal appends the condition that a column has a value; "" is no condition.
func (s *Statement) Equal(column, value string) *Statement {
	if value == "" {
		return s
	}
	return s.Add(fmt.Sprintf(" AND %s = ?", column), value)
}
