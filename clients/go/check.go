package lakepulse

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxName  = 100 // characters of an app's name and of an event type
	maxDepth = 32  // nesting of metadata
)

// checker keeps the first rule that an event breaks. The rules are ingest's, applied
// here because the caller of Track can still see the answer.
type checker struct{ err *FieldError }

func (c *checker) fail(field, reason string) {
	if c.err == nil {
		c.err = &FieldError{Field: field, Reason: reason}
	}
}

func (c *checker) eventType(s string) {
	ok := s != "" && len(s) <= maxName && s[0] >= 'a' && s[0] <= 'z'
	for i := 1; ok && i < len(s); i++ {
		b := s[i]
		ok = b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '_' || b == '.'
	}
	if !ok {
		c.fail("event_type", "must match ^[a-z][a-z0-9_.]{0,99}$")
	}
}

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

func (c *checker) metadata(raw json.RawMessage) {
	switch {
	case len(raw) == 0:
	case len(raw) > maxMetadata:
		c.fail("metadata", "must be at most 8 KiB of JSON")
	case raw[0] != '{':
		c.fail("metadata", "must be a JSON object")
	case hasUnstorableEscape(raw):
		c.fail("metadata", "must not contain NUL characters or lone surrogates")
	default:
		if reason := checkValues(raw); reason != "" {
			c.fail("metadata", reason)
		}
	}
}

// checkValues returns the rule that the nesting or a number of valid JSON breaks,
// "" for none.
func checkValues(raw []byte) string {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	for depth := 0; ; {
		token, err := dec.Token()
		if err != nil {
			return "must be valid JSON in UTF-8"
		}
		switch v := token.(type) {
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

// hasUnstorableEscape looks for \u0000 and for halves of surrogate pairs, which
// Postgres' jsonb refuses.
func hasUnstorableEscape(raw []byte) bool {
	for i := 0; i+1 < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if raw[i+1] != 'u' {
			i++ // the escaped character: \\u is a backslash and a letter
			continue
		}
		switch code := escapedUnit(raw[i:]); {
		case code == 0, code >= 0xDC00 && code <= 0xDFFF:
			return true
		case code >= 0xD800 && code <= 0xDBFF:
			low := escapedUnit(raw[min(i+6, len(raw)):])
			if low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 6
		}
		i += 5
	}
	return false
}

// escapedUnit returns the UTF-16 unit of the \uXXXX that raw begins with, 0 where
// there is none.
func escapedUnit(raw []byte) uint64 {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0
	}
	code, err := strconv.ParseUint(string(raw[2:6]), 16, 32)
	if err != nil {
		return 0
	}
	return code
}

// isAppName reports whether name can be the name of an app.
func isAppName(name string) bool {
	ok := name != "" && len(name) <= maxName
	for i := 0; ok && i < len(name); i++ {
		b := name[i]
		alnum := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
		ok = alnum || i > 0 && (b == '.' || b == '_' || b == '-')
	}
	return ok
}
