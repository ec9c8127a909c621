package rules

import (
	"strings"
	"unicode/utf8"
)

// MaxEndpoint is the number of characters an endpoint may have.
const MaxEndpoint = 500

const (
	maxSegments = 12 // deeper paths end in {rest}
	minHex      = 6  // characters of a hexadecimal id
	minToken    = 20 // characters from which a segment with a digit is a token
	minText     = 64 // characters from which any segment is a value
)

// ReducePath returns path with each segment that looks like a value replaced by
// {id}: the endpoint of a request whose route template is not known. It keeps 12
// segments and 500 characters; the number of distinct results is for the
// caller to bound.
func ReducePath(path string) string {
	if path == "" {
		return "/"
	}
	var b strings.Builder
	for i := 0; ; i++ {
		segment, rest, more := strings.Cut(path, "/")
		if i > 0 {
			b.WriteByte('/')
		}
		if i == maxSegments {
			b.WriteString("{rest}")
			break
		}
		if isValue(segment) {
			segment = "{id}"
		}
		b.WriteString(segment)
		if !more {
			break
		}
		path = rest
	}
	return CleanText(b.String(), MaxEndpoint)
}

// isValue reports whether a path's segment looks like a value rather than a
// name: a number, a UUID, a hexadecimal id, a token, a long text, or something
// with an @ (an e-mail address must not be stored as an endpoint).
func isValue(s string) bool {
	var digits, hex, dashes, ascii int
	for i := range len(s) {
		c := s[i]
		if c < utf8.RuneSelf {
			ascii++
		}
		switch {
		case c >= '0' && c <= '9':
			digits++
			hex++
		case c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
			hex++
		case c == '-':
			dashes++
		case c == '@', c < ' ', c == 0x7F:
			return true
		}
	}
	length := len(s)
	if ascii != length {
		length = utf8.RuneCountInString(s)
	}
	switch {
	case length == 0:
		return false
	case digits == length:
		return true
	case length == 36 && dashes == 4 && hex == 32:
		return true
	case hex == length && length >= minHex && digits > 0: // a digit, so that "decade" stays a name
		return true
	case length >= minToken && digits > 0:
		return true
	}
	return length >= minText
}

// CleanText returns s as valid UTF-8 without NUL characters, cut to most characters.
// Postgres stores neither NUL nor broken UTF-8.
func CleanText(s string, most int) string {
	if len(s) <= most && isPrintableASCII(s) {
		return s
	}
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	for i := range s {
		if most == 0 {
			return s[:i]
		}
		most--
	}
	return s
}

// isPrintableASCII spares nearly all texts the slower checks.
func isPrintableASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
