package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
)

// rejection says why one event of a batch is not kept.
type rejection struct {
	Index  int    `json:"index"`
	ID     string `json:"id,omitempty"`
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// envelope is a decoded request body.
type envelope[E any] struct {
	events  []E                       // as their JSON says, before they are checked
	texts   []value                   // of each event, as it was sent
	faults  map[int]*event.FieldError // by index: the first member of an event that is not even of its type
	dropped int64                     // events the sender gave up since its last report
	total   int                       // events in the body, also beyond the most allowed
}

// setter stores the value of a member into an event, or says what is wrong with it.
type setter[E any] func(e *E, name string, v value) *event.FieldError

// lenient is how a body is read: what is wrong with one event's texts must not
// cost the others.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// decode reads {"events":[…],"dropped":n}. A body that is not such a document
// is an error; an event in it that is malformed has a fault of its own.
func decode[E any](body []byte, blank E, set setter[E]) (envelope[E], error) {
	var env envelope[E]
	text, err := document(body)
	if err != nil {
		return env, err
	}
	seen := false
	s := splitter{text: text}
	s.enter()
	for err == nil && s.more('}') {
		switch s.name() {
		case "events":
			seen = true
			err = env.decodeEvents(&s, blank, set)
		case "dropped":
			err = env.decodeDropped(s.value())
		default:
			s.value()
		}
	}
	if err == nil && !seen {
		err = invalid("events", "is required")
	}
	return env, err
}

// document returns the JSON object a body holds, as text of its own. The
// decoder reads a bytes.Buffer in place.
func document(body []byte) (string, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), lenient...)
	v, err := dec.ReadValue()
	if err != nil {
		return "", malformed(err)
	}
	text := string(v) // v is gone with the next read
	if text[0] != '{' {
		return "", invalid("body", `must be a JSON object {"events":[…]}`)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return "", invalid("body", "must hold one JSON object and nothing after it")
	}
	return text, nil
}

func (env *envelope[E]) decodeDropped(v value) error {
	if v.Kind() == 'n' {
		return nil
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || n < 0 || n > event.MaxDropped {
		return invalid("dropped", fmt.Sprintf("must be a whole number between 0 and %d", int64(event.MaxDropped)))
	}
	env.dropped = n
	return nil
}

func (env *envelope[E]) decodeEvents(s *splitter, blank E, set setter[E]) error {
	if s.text[s.at] != '[' {
		return invalid("events", "must be a list")
	}
	// An event begins so unless it is spread over lines: one allocation nearly always.
	room := min(strings.Count(s.text, `{"`), event.MaxBatch)
	*env = envelope[E]{events: make([]E, 0, room), texts: make([]value, 0, room), dropped: env.dropped}
	s.enter()
	for ; s.more(']'); env.total++ {
		if env.total >= event.MaxBatch {
			s.value()
			continue
		}
		from := s.at
		env.events = append(env.events, blank)
		if fe := decodeEvent(s, &env.events[env.total], set); fe != nil {
			if env.faults == nil {
				env.faults = map[int]*event.FieldError{}
			}
			env.faults[env.total] = fe
		}
		env.texts = append(env.texts, value(s.text[from:s.at]))
	}
	return nil
}

// decodeEvent reads one event and returns the first thing that is wrong with it.
func decodeEvent[E any](s *splitter, e *E, set setter[E]) (first *event.FieldError) {
	if s.text[s.at] != '{' {
		s.value()
		return &event.FieldError{Field: "events", Reason: "must be a JSON object"}
	}
	s.enter()
	for s.more('}') {
		name, v := s.name(), s.value()
		if v.Kind() == 'n' {
			continue // null is absent
		}
		if fe := set(e, name, v); fe != nil && first == nil {
			first = fe
		}
	}
	return first
}

// id returns the id of event i as it was written, for its rejection.
func (env *envelope[E]) id(i int) (id string) {
	s := splitter{text: string(env.texts[i])}
	if s.text[0] != '{' {
		return ""
	}
	s.enter()
	for s.more('}') {
		const most = 66 // nobody needs more of it to find the event
		if name, v := s.name(), s.value(); name == "id" && v.Kind() == '"' && len(v) <= most {
			id = strings.ToValidUTF8(string(v[1:len(v)-1]), "?")
		}
	}
	return id
}

func invalid(field, rule string) error {
	return fault.New(fault.Invalid, "%s: %s", field, rule).With("field", field)
}

func malformed(err error) error {
	return fault.Wrap(err, fault.Invalid, "body: must be valid JSON; it breaks off or is malformed").With("field", "body")
}
