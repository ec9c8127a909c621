package rules

import "strings"

// Excluded reports whether requests to path are never recorded: /health, /ready
// and /ping, with or without a slash at the end, and paths under /internal/ and
// /admin/system/.
func Excluded(path string) bool {
	switch path {
	case "/health", "/ready", "/ping", "/health/", "/ready/", "/ping/":
		return true
	}
	return strings.HasPrefix(path, "/internal/") || strings.HasPrefix(path, "/admin/system/")
}

// Exclusions are an app's own patterns of paths that are not recorded. In a
// pattern * stands for any characters, slashes too; all others stand for
// themselves.
type Exclusions []string

// Match reports whether path is excluded by a pattern or by [Excluded].
func (e Exclusions) Match(path string) bool {
	if Excluded(path) {
		return true
	}
	for _, pattern := range e {
		if matchPattern(pattern, path) {
			return true
		}
	}
	return false
}

// matchPattern returns to the last * only, so its time is bounded by the product
// of the lengths.
func matchPattern(pattern, s string) bool {
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
