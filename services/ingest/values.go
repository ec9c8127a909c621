package ingest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// The readers of values: each returns the rule a value breaks.

func readText(field string, v value, to *string) *event.FieldError {
	if v.Kind() != '"' {
		return &event.FieldError{Field: field, Reason: "must be a string"}
	}
	inner := string(v[1 : len(v)-1])
	if !utf8.ValidString(inner) {
		return &event.FieldError{Field: field, Reason: "must be valid UTF-8"}
	}
	if strings.IndexByte(inner, '\\') < 0 {
		*to = inner
		return nil
	}
	out, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return &event.FieldError{Field: field, Reason: "must be valid UTF-8, without lone surrogates"}
	}
	*to = string(out)
	return nil
}

func readID(field string, v value, to *uuid.UUID) *event.FieldError {
	if v.Kind() != '"' || len(v) != 38 {
		return &event.FieldError{Field: field, Reason: "must be a UUID"}
	}
	parsed, err := uuid.Parse(string(v[1:37]))
	if err != nil {
		return &event.FieldError{Field: field, Reason: "must be a UUID"}
	}
	*to = parsed
	if parsed == uuid.Nil {
		return &event.FieldError{Field: field, Reason: "must be a UUID that is not all zeros"}
	}
	return nil
}

func readTime(field string, v value, to *time.Time) *event.FieldError {
	if v.Kind() == '"' {
		if t, err := time.Parse(time.RFC3339Nano, string(v[1:len(v)-1])); err == nil {
			*to = t
			return nil
		}
	}
	return &event.FieldError{Field: field, Reason: "must be an RFC 3339 time with a zone, such as 2026-01-02T15:04:05.678Z"}
}

func readNumber(field string, v value, to *float64) *event.FieldError {
	n, err := strconv.ParseFloat(string(v), 64)
	if v.Kind() != '0' || err != nil || math.IsInf(n, 0) {
		return &event.FieldError{Field: field, Reason: "must be a number"}
	}
	*to = n
	return nil
}

func readWhole(field string, v value, to *int64) *event.FieldError {
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		// 2e2 and 200.0 are whole numbers too: some encoders write them so.
		f, ferr := strconv.ParseFloat(string(v), 64)
		if v.Kind() != '0' || ferr != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return &event.FieldError{Field: field, Reason: "must be a whole number"}
		}
		n = int64(f)
	}
	*to = n
	return nil
}

func readBool(field string, v value, to **bool) *event.FieldError {
	switch kind := v.Kind(); kind {
	case 't', 'f':
		b := kind == 't'
		*to = &b
		return nil
	default:
		return &event.FieldError{Field: field, Reason: "must be true, false or null"}
	}
}

func readStatus(field string, v value, to *int) *event.FieldError {
	var n int64
	if err := readWhole(field, v, &n); err != nil {
		return err
	}
	*to = int(max(math.MinInt32, min(n, math.MaxInt32))) // Validate refuses both ends
	return nil
}

func readCounter(field string, v value, to **int64) *event.FieldError {
	var n int64
	if err := readWhole(field, v, &n); err != nil {
		return err
	}
	*to = &n
	return nil
}

// readObject keeps the object without its white space, so that its bound is of content.
func readObject(field string, v value, to *[]byte, most int) *event.FieldError {
	if v.Kind() != '{' {
		return &event.FieldError{Field: field, Reason: "must be a JSON object"}
	}
	if len(v) > 16*most {
		return &event.FieldError{Field: field, Reason: fmt.Sprintf("must be at most %d KiB of JSON", most>>10)}
	}
	own := jsontext.Value(v)
	if err := own.Compact(lenient...); err != nil {
		return &event.FieldError{Field: field, Reason: "must be valid JSON"}
	}
	*to = own
	return nil
}
