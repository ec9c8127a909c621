package lakepulse

import (
	"net/http"
	"net/url"
	"strings"
)

// fromAnotherSite reports whether a page of another site made the browser send the
// request. Browsers say so in Sec-Fetch-Site; over plain http they leave it out, and
// Origin must then name the host that was asked. Programs send neither.
func fromAnotherSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return false
	case "":
	default: // cross-site, and same-site: a sibling app is another site too
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin) // "null" has no host
	return err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host)
}
