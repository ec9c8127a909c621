package client

import (
	"strings"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// Endpoints are rows per hour in the store, so their names must be few. A route
// template is best; where there is none (an unmatched path, a router we cannot
// ask) the path is reduced and the number of distinct names is bounded.

const (
	otherEndpoint = "{other}"
	maxSegments   = 12
)

// pathNames names endpoints after paths, at most limit of them. One goroutine.
type pathNames struct {
	limit int
	seen  map[string]struct{}
}

func (n *pathNames) name(path string) string {
	name := clean(reducePath(path), event.MaxEndpoint)
	if _, ok := n.seen[name]; ok {
		return name
	}
	if len(n.seen) >= n.limit {
		return otherEndpoint
	}
	name = strings.Clone(name) // it may be part of a request's line, and it stays for good
	n.seen[name] = struct{}{}
	return name
}

// reducePath replaces what varies in a path by {id} and cuts what is too deep.
func reducePath(path string) string {
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
		if variable(segment) {
			segment = "{id}"
		}
		b.WriteString(segment)
		if !more {
			break
		}
		path = rest
	}
	return b.String()
}

// variable reports whether a segment looks like a value rather than a name: a
// number, a UUID, a long hex, something with an @ (an address is nobody's
// business), a token, a text.
func variable(s string) bool {
	if s == "" {
		return false
	}
	var digits, hex, dashes int
	for i := range len(s) {
		switch c := s[i]; {
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
	switch {
	case digits == len(s):
		return true
	case len(s) == 36 && dashes == 4 && hex == 32:
		return true
	case hex == len(s) && len(s) >= 6 && digits > 0: // a digit, so that "decade" stays a word
		return true
	case len(s) >= 20 && digits > 0:
		return true
	}
	return len(s) >= 64
}

// exclusions tells which requests are not recorded.
type exclusions []string

func (e exclusions) match(path string) bool {
	switch path {
	case "/health", "/ready", "/ping", "/health/", "/ready/", "/ping/":
		return true
	}
	if strings.HasPrefix(path, "/internal/") || strings.HasPrefix(path, "/admin/system/") {
		return true
	}
	for _, pattern := range e {
		if glob(pattern, path) {
			return true
		}
	}
	return false
}

// glob matches s against a pattern in which * stands for anything. It goes back
// to the last * only, so its time is bounded by the product of the lengths.
func glob(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
