package rules

import "strings"

// OtherMethod is recorded for a method outside the closed list.
const OtherMethod = "_OTHER"

// Method returns the name under which an HTTP method is recorded: itself in upper
// case, or [OtherMethod] for one outside the closed list. Methods are a
// dimension that clients can make up, so it must be closed.
func Method(m string) string {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE":
		return m
	}
	if upper := strings.ToUpper(m); upper != m && len(m) <= len("OPTIONS") {
		return Method(upper)
	}
	return OtherMethod
}
