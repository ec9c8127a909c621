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

	"github.com/lakepulse/lakepulse/pkg/event/fields"
)

// maxDepth bounds the nesting of metadata.
const maxDepth = 32

// The bounds of fields. Texts are counted in characters, metadata in bytes.
const (
	MaxApp       = fields.MaxApp
	MaxEndpoint  = fields.MaxEndpoint
	MaxEventType = fields.MaxEventType
	MaxText      = fields.MaxText
	MaxMetadata  = fields.MaxMetadata
)

// OtherMethod stands for every method that HTTP does not define.
const OtherMethod = fields.OtherMethod

// Other stands for all values of a dimension past its bound. Ingest puts it
// there; no sender may send it.
const Other = fields.Other

// MaxDropped bounds the count of dropped events in one report of a sender.
const MaxDropped = fields.MaxDropped

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

// normalTime cuts a time to what Postgres holds. The method of the same name on
// events must give the same result every time: the timestamp is part of the key.
func normalTime(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// normalMethod returns the method in upper case, [OtherMethod] for one that HTTP
// does not define, "" for none.
func normalMethod(s string) string {
	if s == "" || fields.IsMethod(s) {
		return s
	}
	if up := strings.ToUpper(s); fields.IsMethod(up) {
		return up
	}
	return OtherMethod
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
	switch {
	case s == "":
		c.fail("method", "is required")
	case !fields.IsMethod(s) && s != OtherMethod:
		c.fail("method", "must be one of "+strings.Join(fields.Methods, ", ")+" or "+OtherMethod)
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

func (c *checker) whole(field string, n, least, most int64) {
	if n < least || n > most {
		c.fail(field, fmt.Sprintf("must be a whole number between %d and %d", least, most))
	}
}

func (c *checker) number(field string, n, least, most float64) {
	if !(n >= least && n <= most) { // not NaN either
		c.fail(field, fmt.Sprintf("must be a number between %.0f and %.0f", least, most))
	}
}

// object refuses what jsonb would refuse: Postgres keeps no NUL characters, no
// lone surrogates and no numbers beyond its numeric type.
func (c *checker) object(field string, raw json.RawMessage, most int) {
	switch {
	case len(raw) == 0:
	case len(raw) > most:
		c.fail(field, fmt.Sprintf("must be at most %d KiB of JSON", most>>10))
	case raw[0] != '{':
		c.fail(field, "must be a JSON object")
	default:
		if rule := checkJSON(raw, most); rule != "" {
			c.fail(field, rule)
		}
	}
}

// checkJSON walks raw once and returns the rule it breaks, "" for none. jsonb
// writes numbers out, 1e300 as 301 digits: so they are counted as written out.
func checkJSON(raw []byte, most int) string {
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return "must be valid JSON in UTF-8"
	}
	if hasBadEscape(raw) {
		return "must not contain NUL characters or lone surrogates"
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	size := len(raw)
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
			digits, ok := writtenOut(v.String())
			if !ok {
				return "must not contain numbers beyond the range of a double"
			}
			if size += digits - len(v); size > most {
				return fmt.Sprintf("must be at most %d KiB of JSON with its numbers written out", most>>10)
			}
		}
		if depth == 0 {
			return ""
		}
	}
}

// writtenOut returns a bound on the length of a number without an exponent,
// false for one that a double cannot hold: too large, or so small that it
// would be zero.
func writtenOut(number string) (digits int, ok bool) {
	const furthest = 400 // exponents of doubles end at 308 and -324
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, false
	}
	mantissa, exponent := number, 0
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		mantissa = number[:i]
		if exponent, err = strconv.Atoi(number[i+1:]); err != nil || max(exponent, -exponent) > furthest {
			return 0, false
		}
	}
	if f == 0 && strings.ContainsAny(mantissa, "123456789") {
		return 0, false
	}
	return len(mantissa) + max(exponent, -exponent), true
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
