// Package fault is the one error type that crosses package borders in Lakepulse.
//
// An *Error carries a Code that callers act on, a message that callers may be
// shown, and a cause that only logs see. Two tables hang off the code and live
// nowhere else: the HTTP status of an answer and whether the stream side may
// try the same thing again. Anything that is not an *Error is Internal: its
// text is never shown to a caller.
package fault

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"
)

// Code says what kind of failure happened, not where.
type Code string

// The codes. Add one only together with its row in statuses.
const (
	Invalid         Code = "invalid_request"     // the request breaks a rule it could have kept
	Unauthenticated Code = "unauthenticated"     // no proof of identity, or one that does not hold
	Forbidden       Code = "forbidden"           // known, but not allowed
	NotFound        Code = "not_found"           // no such thing
	Conflict        Code = "conflict"            // the thing is already there or already running
	TooLarge        Code = "payload_too_large"   // over a stated bound
	Unsupported     Code = "unsupported_media"   // a content type or encoding we do not read
	Unavailable     Code = "service_unavailable" // a part we need is away; try again later
	Internal        Code = "internal_error"      // our mistake
)

var statuses = map[Code]int{
	Invalid:         http.StatusBadRequest,
	Unauthenticated: http.StatusUnauthorized,
	Forbidden:       http.StatusForbidden,
	NotFound:        http.StatusNotFound,
	Conflict:        http.StatusConflict,
	TooLarge:        http.StatusRequestEntityTooLarge,
	Unsupported:     http.StatusUnsupportedMediaType,
	Unavailable:     http.StatusServiceUnavailable,
	Internal:        http.StatusInternalServerError,
}

// Error is a failure with a code, a message for the caller and a cause for the log.
type Error struct {
	Code       Code
	Message    string         // shown to the caller: no secrets, no SQL, no addresses
	Details    map[string]any // shown to the caller beside the message
	RetryAfter time.Duration  // for Unavailable: when it is worth trying again; 0 = not said
	cause      error
}

// New returns an error whose message is shown to the caller as it is.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap gives cause a code and a message for the caller; the cause stays for the log.
func Wrap(cause error, code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), cause: cause}
}

// Refuse returns an Invalid error about a field of a request. Details name the
// field and the rule it breaks, for programs; the message says both to people.
func Refuse(field, rule, format string, args ...any) *Error {
	return New(Invalid, format, args...).With("field", field).With("rule", rule)
}

// With returns a copy of e with one more detail for the caller.
func (e *Error) With(key string, value any) *Error {
	c := *e
	c.Details = maps.Clone(e.Details)
	if c.Details == nil {
		c.Details = make(map[string]any, 1)
	}
	c.Details[key] = value
	return &c
}

// After returns a copy of e that tells the caller when to try again.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Error returns message and cause: for logs, never for callers.
func (e *Error) Error() string {
	if e.cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.cause.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Status returns the HTTP status of the error's code.
func (e *Error) Status() int {
	if s, ok := statuses[e.Code]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// As returns err as an *Error. What is not one becomes Internal with a message
// that gives nothing away, and err as its cause.
func As(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return Wrap(err, Internal, "Something went wrong on our side")
}

// CodeOf returns the code of err, Internal where it has none, "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return As(err).Code
}

// Permanent marks an error that trying again cannot cure: the stream side
// moves what caused it to the dead letters instead of waiting.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// IsPermanent reports whether err, or an error it wraps, was marked Permanent.
func IsPermanent(err error) bool {
	_, ok := errors.AsType[permanent](err)
	return ok
}

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }
