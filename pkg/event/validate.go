package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// The bounds of fields. Texts are counted in characters, Metadata in bytes.
const (
	MaxEndpoint  = 500
	MaxText      = 255 // user_id, page_name, element_id, error_type, instance and the ids that are texts
	MaxEventType = 100
	MaxApp       = 100
	MaxMethod    = 32
	MaxMetadata  = 8 << 10
	maxDepth     = 32 // nesting of metadata
)

// MaxAhead is how far in the future a timestamp may be: beyond it a sender's
// clock is wrong, and it can correct it from the server_time of the answer.
const MaxAhead = 5 * time.Minute

// FieldError says which field of an event broke which rule. It is shown to the
// sender as it is.
type FieldError struct {
	Field  string
	Reason string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

// Window is the span of timestamps that are accepted at a moment.
type Window struct {
	From time.Time // older is refused: its hour may already have left the raw tables
	To   time.Time
}

// WindowAt returns the window at now for a raw retention.
func WindowAt(now time.Time, rawRetention time.Duration) Window {
	return Window{From: now.Add(-rawRetention), To: now.Add(MaxAhead)}
}

// Normalize brings what may be written in several ways into the one form that
// is stored: UTC, microseconds, upper-case method, an error type on errors
// (the status code, as OpenTelemetry's error.type has it).
func (p *Performance) Normalize() {
	p.Timestamp = p.Timestamp.UTC().Truncate(time.Microsecond)
	p.Method = upper(p.Method)
	if p.ErrorType == "" && p.IsError() {
		p.ErrorType = strconv.Itoa(p.StatusCode)
	}
}

// Normalize brings the timestamp into the form that is stored.
func (u *Usage) Normalize() {
	u.Timestamp = u.Timestamp.UTC().Truncate(time.Microsecond)
}

// upper avoids an allocation for the usual, already upper-case method.
func upper(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= 'a' && c <= 'z' {
			return strings.ToUpper(s)
		}
	}
	return s
}

// Validate returns the first rule the event breaks, nil when it can be stored.
func (p *Performance) Validate(w Window) *FieldError {
	var c checker
	c.id(p.ID)
	c.time(p.Timestamp, w)
	c.app(p.App)
	c.text("endpoint", p.Endpoint, 1, MaxEndpoint)
	c.method(p.Method)
	if p.StatusCode < 100 || p.StatusCode > 599 {
		c.fail("status_code", "must be between 100 and 599")
	}
	if !(p.ResponseTimeMS >= 0) || math.IsInf(p.ResponseTimeMS, 0) {
		c.fail("response_time_ms", "must be a number of milliseconds, 0 or more")
	}
	c.text("user_id", p.UserID, 0, MaxText)
	c.text("error_type", p.ErrorType, 0, MaxText)
	c.text("instance", p.Instance, 0, MaxText)
	c.text("app_version", p.AppVersion, 0, MaxText)
	c.text("session_id", p.SessionID, 0, MaxText)
	c.text("interaction_id", p.InteractionID, 0, MaxText)
	c.text("trace_id", p.TraceID, 0, MaxText)
	c.text("correlation_id", p.CorrelationID, 0, MaxText)
	c.seq(p.Seq)
	return c.err
}

// Validate returns the first rule the event breaks, nil when it can be stored.
func (u *Usage) Validate(w Window) *FieldError {
	var c checker
	c.id(u.ID)
	c.time(u.Timestamp, w)
	c.app(u.App)
	c.eventType(u.EventType)
	c.text("user_id", u.UserID, 1, MaxText)
	c.text("page_name", u.PageName, 0, MaxText)
	c.text("element_id", u.ElementID, 0, MaxText)
	c.metadata(u.Metadata)
	c.text("app_version", u.AppVersion, 0, MaxText)
	c.text("session_id", u.SessionID, 0, MaxText)
	c.text("interaction_id", u.InteractionID, 0, MaxText)
	c.seq(u.Seq)
	return c.err
}

// ValidApp reports whether name can be the name of an app.
func ValidApp(name string) bool {
	var c checker
	c.app(name)
	return c.err == nil
}

// checker keeps the first failure.
type checker struct{ err *FieldError }

func (c *checker) fail(field, reason string) {
	if c.err == nil {
		c.err = &FieldError{Field: field, Reason: reason}
	}
}

func (c *checker) id(id uuid.UUID) {
	if id == uuid.Nil {
		c.fail("id", "must be a UUID that is not all zeros")
	}
}

func (c *checker) time(t time.Time, w Window) {
	switch {
	case t.IsZero():
		c.fail("timestamp", "is required")
	case t.After(w.To):
		c.fail("timestamp", "must not be more than 5 minutes in the future")
	case t.Before(w.From):
		c.fail("timestamp", "must not be older than the raw retention: its hour is closed for good since "+w.From.UTC().Format(time.RFC3339))
	}
}

func (c *checker) app(s string) {
	if s == "" {
		c.fail("app", "is required")
		return
	}
	ok := len(s) <= MaxApp
	for i := 0; ok && i < len(s); i++ {
		b := s[i]
		alnum := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
		ok = alnum || i > 0 && (b == '.' || b == '_' || b == '-')
	}
	if !ok {
		c.fail("app", "must match ^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
	}
}

func (c *checker) eventType(s string) {
	if s == "" {
		c.fail("event_type", "is required")
		return
	}
	ok := len(s) <= MaxEventType && s[0] >= 'a' && s[0] <= 'z'
	for i := 1; ok && i < len(s); i++ {
		b := s[i]
		ok = b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '_' || b == '.'
	}
	if !ok {
		c.fail("event_type", "must match ^[a-z][a-z0-9_.]{0,99}$")
	}
}

func (c *checker) method(s string) {
	ok := s != "" && len(s) <= MaxMethod
	for i := 0; ok && i < len(s); i++ {
		b := s[i]
		ok = b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '-' || b == '_'
	}
	if !ok {
		c.fail("method", "must be an HTTP method of at most 32 letters")
	}
}

// text counts characters only where bytes could be too many.
func (c *checker) text(field, s string, least, most int) {
	switch {
	case len(s) < least:
		c.fail(field, "is required")
	case !utf8.ValidString(s):
		c.fail(field, "must be valid UTF-8")
	case strings.IndexByte(s, 0) >= 0:
		c.fail(field, "must not contain NUL characters")
	case len(s) > most && utf8.RuneCountInString(s) > most:
		c.fail(field, fmt.Sprintf("must be at most %d characters", most))
	}
}

func (c *checker) seq(n *int64) {
	if n != nil && *n < 0 {
		c.fail("seq", "must be 0 or more")
	}
}

// metadata refuses what jsonb would refuse: Postgres keeps no NUL characters,
// no lone surrogates and no numbers beyond its numeric type.
func (c *checker) metadata(raw json.RawMessage) {
	if len(raw) == 0 {
		return
	}
	if len(raw) > MaxMetadata {
		c.fail("metadata", "must be at most 8 KiB of JSON")
		return
	}
	if raw[0] != '{' {
		c.fail("metadata", "must be a JSON object")
		return
	}
	if err := checkJSON(raw); err != "" {
		c.fail("metadata", err)
	}
}

// checkJSON walks raw once and returns the rule it breaks, "" for none.
func checkJSON(raw []byte) string {
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return "must be valid JSON in UTF-8"
	}
	if hasBadEscape(raw) {
		return "must not contain NUL characters or lone surrogates"
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	for depth := 0; ; {
		tok, err := dec.Token()
		if err != nil {
			return "" // io.EOF: json.Valid has seen the rest
		}
		switch v := tok.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else {
				depth--
			}
			if depth > maxDepth {
				return fmt.Sprintf("must not be nested deeper than %d", maxDepth)
			}
		case json.Number:
			if f, err := v.Float64(); err != nil || math.IsInf(f, 0) {
				return "must not contain numbers beyond the range of a double"
			}
		}
		if depth == 0 {
			return ""
		}
	}
}

// hasBadEscape looks for \u0000 and for halves of surrogate pairs.
func hasBadEscape(raw []byte) bool {
	for i := 0; i+1 < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if raw[i+1] != 'u' {
			i++ // skip the escaped character: \\u is a backslash and a letter
			continue
		}
		code, err := strconv.ParseUint(string(raw[i+2:min(i+6, len(raw))]), 16, 32)
		if err != nil || code == 0 || code >= 0xDC00 && code <= 0xDFFF {
			return true
		}
		if code >= 0xD800 && code <= 0xDBFF {
			if i+12 > len(raw) || raw[i+6] != '\\' || raw[i+7] != 'u' {
				return true
			}
			low, err := strconv.ParseUint(string(raw[i+8:i+12]), 16, 32)
			if err != nil || low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 6
		}
		i += 5
	}
	return false
}
