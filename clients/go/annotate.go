package lakepulse

import "net/http"

// SetRoute names the endpoint of the request that w answers, for routers whose
// template is known only inside: call it from a handler or a middleware of the
// router, for example with gin's c.FullPath(). Wrappers around the writer are
// looked through as long as they have Unwrap. It reports whether the request is
// being recorded.
func SetRoute(w http.ResponseWriter, template string) bool {
	return annotate(w, func(x *writer) { x.noted().route = template })
}

// SetUser names who sent the request that w answers, for apps that find out
// inside. It wins over Config.User.
func SetUser(w http.ResponseWriter, userID string) bool {
	return annotate(w, func(x *writer) { x.noted().user = bounded(userID) })
}

// Unrecorded leaves the request that w answers out of the records.
func Unrecorded(w http.ResponseWriter) bool {
	return annotate(w, func(x *writer) { x.settled = true })
}

// Routed passes the template of an http.ServeMux on to Middleware where another
// handler between the two copies the request and so hides it.
func Routed(mux http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { // also when the handler panics
			if t := stripMethod(r.Pattern); t != "" {
				SetRoute(w, t)
			}
		}()
		mux.ServeHTTP(w, r)
	})
}

// exchanger is what only our writers are.
type exchanger interface{ exchange() *writer }

func annotate(w http.ResponseWriter, change func(*writer)) bool {
	for {
		switch x := w.(type) {
		case exchanger:
			change(x.exchange())
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = x.Unwrap()
		default:
			return false
		}
	}
}
