package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

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

// draft is an event as its JSON says, before it is checked.
type draft[E any] struct {
	event E
	index int    // in the request
	id    string // as it was written, for the rejection
	err   *event.FieldError
}

// envelope is a decoded request body.
type envelope[E any] struct {
	drafts  []draft[E]
	dropped int64 // events the sender gave up since its last report
	total   int   // events in the body, also beyond the most allowed
}

// member is a member's value as it was sent, twice: text shares the memory of
// the whole body, so that what is kept of it costs no allocation of its own.
type member struct {
	jsontext.Value

	text string
}

// setter stores the value of a member into an event, or says what is wrong with it.
type setter[E any] func(e *E, name string, v member) *event.FieldError

// document is a body that is being read.
type document struct {
	*jsontext.Decoder

	text string // all of the body
}

// open begins to read a body. The decoder reads a bytes.Buffer in place.
func open(body []byte) document {
	return document{
		Decoder: jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)),
		text:    string(body),
	}
}

// readMember reads the next value.
func (d document) readMember() (member, error) {
	v, err := d.ReadValue()
	end := d.InputOffset()
	return member{v, d.text[end-int64(len(v)) : end]}, err
}

// readName reads the name of the next member.
func (d document) readName() (string, error) {
	v, err := d.readMember()
	if err != nil {
		return "", err
	}
	if strings.IndexByte(v.text, '\\') < 0 {
		return v.text[1 : len(v.text)-1], nil
	}
	// A name that is no valid text is none we know: it is skipped like any other.
	name, _ := jsontext.AppendUnquote(nil, v.Value)
	return string(name), nil
}

// decode reads {"events":[…],"dropped":n}. A body that is not such a document
// is an error; an event in it that is malformed carries its own.
func decode[E any](body []byte, blank E, set setter[E]) (envelope[E], error) {
	var env envelope[E]
	dec := open(body)
	if dec.PeekKind() != '{' {
		return env, bodyError(dec, `must be a JSON object {"events":[…]}`)
	}
	seen := false
	err := eachMember(dec, func(name string) error {
		switch name {
		case "events":
			seen = true
			return env.decodeEvents(dec, blank, set)
		case "dropped":
			return env.decodeDropped(dec)
		}
		return dec.SkipValue()
	})
	if err != nil {
		return env, asBodyError(err)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return env, invalidBody("must hold one JSON object and nothing after it")
	}
	if !seen {
		return env, fault.New(fault.Invalid, "events: is required").With("field", "events")
	}
	return env, nil
}

func (env *envelope[E]) decodeDropped(dec document) error {
	v, err := dec.ReadValue()
	if err != nil {
		return err
	}
	n, convErr := strconv.ParseInt(string(v), 10, 64)
	if v.Kind() != 'n' && (convErr != nil || n < 0) {
		return fault.New(fault.Invalid, "dropped: must be a whole number, 0 or more").With("field", "dropped")
	}
	env.dropped = n
	return nil
}

func (env *envelope[E]) decodeEvents(dec document, blank E, set setter[E]) error {
	if dec.PeekKind() != '[' {
		if err := dec.SkipValue(); err != nil {
			return err
		}
		return fault.New(fault.Invalid, "events: must be a list").With("field", "events")
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	// Most events are longer than this, so that the list seldom grows while it is read.
	const leastEvent = 200
	env.drafts, env.total = make([]draft[E], 0, min(len(dec.text)/leastEvent+1, event.MaxBatch)), 0
	for ; dec.PeekKind() != ']'; env.total++ {
		if env.total >= event.MaxBatch || dec.PeekKind() != '{' {
			if dec.PeekKind() == 0 {
				break // ReadToken below says why
			}
			if err := dec.SkipValue(); err != nil {
				return err
			}
			if env.total < event.MaxBatch {
				env.drafts = append(env.drafts, draft[E]{index: env.total, err: &event.FieldError{Field: "events", Reason: "must be a JSON object"}})
			}
			continue
		}
		env.drafts = append(env.drafts, draft[E]{event: blank, index: env.total})
		d := &env.drafts[len(env.drafts)-1]
		if err := d.decode(dec, set); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// decode reads one event. What is wrong with a member stays with the event; an
// error means that the document itself is broken.
func (d *draft[E]) decode(dec document, set setter[E]) error {
	return eachMember(dec, func(name string) error {
		v, err := dec.readMember()
		if err != nil {
			return err
		}
		if name == "id" && v.Kind() == '"' && len(v.text) <= 66 {
			d.id = strings.ToValidUTF8(v.text[1:len(v.text)-1], "?")
		}
		if v.Kind() == 'n' {
			return nil // null is absent
		}
		if fe := set(&d.event, name, v); fe != nil && d.err == nil {
			d.err = fe
		}
		return nil
	})
}

// eachMember calls f for each member of the object dec stands before. f reads
// the member's value.
func eachMember(dec document, f func(name string) error) error {
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		name, err := dec.readName()
		if err != nil {
			return err
		}
		if err := f(name); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

func invalidBody(rule string) error {
	return fault.New(fault.Invalid, "body: %s", rule).With("field", "body")
}

func bodyError(dec document, rule string) error {
	if _, err := dec.ReadToken(); err != nil {
		return asBodyError(err)
	}
	return invalidBody(rule)
}

func asBodyError(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return fault.Wrap(err, fault.Invalid, "body: must be valid JSON; it breaks off or is malformed").With("field", "body")
}

// The readers of values: each returns the rule a value breaks.

func text(field string, v member, to *string) *event.FieldError {
	if v.Kind() != '"' {
		return &event.FieldError{Field: field, Reason: "must be a string"}
	}
	inner := v.text[1 : len(v.text)-1]
	if !utf8.ValidString(inner) {
		return &event.FieldError{Field: field, Reason: "must be valid UTF-8"}
	}
	if strings.IndexByte(inner, '\\') < 0 {
		*to = inner
		return nil
	}
	out, err := jsontext.AppendUnquote(nil, v.Value)
	if err != nil {
		return &event.FieldError{Field: field, Reason: "must be valid UTF-8, without lone surrogates"}
	}
	*to = string(out)
	return nil
}

func id(v member, to *uuid.UUID) *event.FieldError {
	bad := &event.FieldError{Field: "id", Reason: "must be a UUID"}
	if v.Kind() != '"' || len(v.text) != 38 {
		return bad
	}
	parsed, err := uuid.Parse(v.text[1:37])
	if err != nil {
		return bad
	}
	*to = parsed
	if parsed == uuid.Nil {
		return &event.FieldError{Field: "id", Reason: "must be a UUID that is not all zeros"}
	}
	return nil
}

func instant(v member, to *time.Time) *event.FieldError {
	bad := &event.FieldError{Field: "timestamp", Reason: "must be an RFC 3339 time with a zone, such as 2026-01-02T15:04:05.678Z"}
	if v.Kind() != '"' {
		return bad
	}
	t, err := time.Parse(time.RFC3339Nano, v.text[1:len(v.text)-1])
	if err != nil {
		return bad
	}
	*to = t
	return nil
}

func number(field string, v member, to *float64) *event.FieldError {
	n, err := strconv.ParseFloat(v.text, 64)
	if v.Kind() != '0' || err != nil || math.IsInf(n, 0) {
		return &event.FieldError{Field: field, Reason: "must be a number"}
	}
	*to = n
	return nil
}

func whole(field string, v member, to *int64) *event.FieldError {
	n, err := strconv.ParseInt(v.text, 10, 64)
	if err != nil {
		// 2e2 and 200.0 are whole numbers too: some encoders write them so.
		f, ferr := strconv.ParseFloat(v.text, 64)
		if v.Kind() != '0' || ferr != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return &event.FieldError{Field: field, Reason: "must be a whole number"}
		}
		n = int64(f)
	}
	*to = n
	return nil
}

func boolean(field string, v member, to **bool) *event.FieldError {
	switch v.Kind() {
	case 't', 'f':
		b := v.Kind() == 't'
		*to = &b
		return nil
	}
	return &event.FieldError{Field: field, Reason: "must be true, false or null"}
}

func seq(v member, to **int64) *event.FieldError {
	var n int64
	if err := whole("seq", v, &n); err != nil {
		return err
	}
	*to = &n
	return nil
}

// metadata keeps the object without its white space, so that its bound is of content.
func metadata(v member, to *[]byte) *event.FieldError {
	if v.Kind() != '{' {
		return &event.FieldError{Field: "metadata", Reason: "must be a JSON object"}
	}
	if len(v.text) > 16*event.MaxMetadata {
		return &event.FieldError{Field: "metadata", Reason: fmt.Sprintf("must be at most %d KiB of JSON", event.MaxMetadata>>10)}
	}
	own := v.Clone()
	if err := own.Compact(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return &event.FieldError{Field: "metadata", Reason: "must be valid JSON"}
	}
	*to = own
	return nil
}
