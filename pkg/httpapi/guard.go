package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/lakepulse/lakepulse/pkg/fault"
)

// Guard keeps other sites' pages out, which a browser on the machine or with the
// user's cookies would otherwise let write here: it refuses cross-origin requests
// of methods that write. With localOnly it also refuses every request whose Host
// is not a name of this machine: by DNS rebinding a page could make the browser
// take us for its own site, and read everything.
func Guard(next http.Handler, localOnly bool) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		deny(w, r, fault.New(fault.Forbidden, "Cross-origin requests are not accepted"))
	}))
	guarded := protection.Handler(next)
	if !localOnly {
		return guarded
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !IsLoopbackName(r.Host) {
			deny(w, r, fault.New(fault.Forbidden, "Host: must be a name of this machine, such as localhost").With("field", "Host"))
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

func deny(w http.ResponseWriter, r *http.Request, err error) {
	id, _ := correlate(r)
	w.Header().Set(HeaderCorrelation, id)
	drain(w, r)
	WriteError(w, err)
}

// IsLoopbackName reports whether a Host header or a listen address, with or
// without a port, names this machine and no other: localhost, a name below it,
// or a loopback address.
func IsLoopbackName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
