package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/lakepulse/lakepulse/pkg/fault"
)

// checkQuery refuses query parameters that a route does not know, that are given
// twice, and a query that cannot be read: each would be ignored otherwise, and the
// answer would look like one to what was asked.
func checkQuery(r *http.Request, known []string) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.Refuse("query", "encoding", "the query is not encoded as application/x-www-form-urlencoded: a %% needs two hexadecimal digits")
	}
	for name, values := range q {
		switch {
		case !slices.Contains(known, name):
			return unknownName("parameter", name, known)
		case len(values) > 1:
			return fault.Refuse(name, "once", "%s must be given once", name)
		}
	}
	return nil
}

// unknownName says that there is no parameter or member of a name, and which one
// may be meant.
func unknownName(what, name string, known []string) *fault.Error {
	if near := fault.Nearest(name, known); near != "" {
		return fault.Refuse(name, "unknown_"+what, "There is no %s %q here: did you mean %q?", what, name, near).With("nearest", near)
	}
	if len(known) == 0 {
		return fault.Refuse(name, "unknown_"+what, "There is no %s %q here: this path takes none", what, name)
	}
	return fault.Refuse(name, "unknown_"+what, "There is no %s %q here: there are %s", what, name, strings.Join(known, ", "))
}
