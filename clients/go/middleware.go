package lakepulse

import (
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lakepulse/lakepulse/clients/go/rules"
)

// The error types that Lakepulse gives itself; others are the status code.
const (
	ErrorTimeout      = "Timeout"
	ErrorDisconnected = "ClientDisconnected"
	ErrorPanic        = "panic"
	ErrorAborted      = "aborted" // http.ErrAbortHandler: the handler broke the answer off
)

// StatusClientDisconnected is recorded for a request whose client left before
// any answer; nginx made the number known.
const StatusClientDisconnected = 499

// The headers by which the browser tracker ties a request to its tab and to the
// click that caused it, in the form http.Header keys have.
const (
	headerSession     = "X-Lakepulse-Session-Id"
	headerInteraction = "X-Lakepulse-Interaction-Id"
	headerTraceparent = "Traceparent"
	headerCorrelation = "X-Correlation-Id"
	headerRequestID   = "X-Request-Id"
	headerEmail       = "X-Forwarded-Email"
	headerUser        = "X-Forwarded-User"
)

// Middleware records every request that next serves. Wrapped twice by the same
// client, a request is recorded once.
//
// The endpoint is the template of next's router. An http.ServeMux leaves it in
// the request it is given, so where a handler between here and the mux copies
// the request (WithContext, StripPrefix), put [Routed] around the mux.
func (c *Client) Middleware(next http.Handler) http.Handler {
	if c == nil || c.off {
		return next
	}
	return &middleware{client: c, next: next}
}

type middleware struct {
	client *Client
	next   http.Handler
}

func (m *middleware) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	c := m.client
	if c.exclude.Match(r.URL.Path) {
		m.next.ServeHTTP(rw, r)
		return
	}
	can := c.abilitiesOf(rw)
	if can.ours && rw.(exchanger).exchange().client == c {
		m.next.ServeHTTP(rw, r)
		return
	}
	w := &writer{ResponseWriter: rw, client: c, req: r, start: c.elapsed()}
	defer w.finish()
	m.next.ServeHTTP(w.wrap(can.have), r)
	w.returned = true
}

// finish records the request. It is deferred directly, so that it may recover;
// panicking again from here keeps the frames of the first panic in the trace.
func (w *writer) finish() {
	took := w.client.elapsed() - w.start
	if w.returned {
		if !w.settled {
			w.conclude(took)
		}
		return
	}
	v := recover() // nil for runtime.Goexit, which goes on by itself
	if !w.settled {
		switch {
		case v != http.ErrAbortHandler: //nolint:errorlint // compared by identity, as net/http does
			w.settle(http.StatusInternalServerError, ErrorPanic, took)
		case w.cancelled():
			w.settle(StatusClientDisconnected, ErrorDisconnected, took)
		default:
			w.settle(http.StatusInternalServerError, ErrorAborted, took)
		}
	}
	if v != nil {
		panic(v)
	}
}

// conclude judges a request whose handler returned.
func (w *writer) conclude(took time.Duration) {
	switch {
	case w.notes != nil && w.notes.stream:
		// How long the reader stayed says nothing about us: what it waited for is the header.
		w.settle(w.status, "", w.notes.first)
	case took > w.client.cfg.TimeoutThreshold:
		w.settle(http.StatusGatewayTimeout, ErrorTimeout, took)
	case w.gone || w.status == 0 && w.cancelled():
		w.settle(StatusClientDisconnected, ErrorDisconnected, took)
	case w.status == 0:
		w.settle(http.StatusOK, "", took) // net/http answers 200 for a handler that wrote nothing
	default:
		w.settle(w.status, "", took)
	}
}

// settle hands the record over; once per request. Callbacks are asked before the
// place in the ring is taken: the lane waits behind a place that is not filled.
func (w *writer) settle(status int32, errorType string, took time.Duration) {
	w.settled = true
	c, r := w.client, w.req
	if c.performance.full() {
		return
	}
	endpoint, user := w.template(), w.userID()
	raw := endpoint == ""
	if raw {
		endpoint = pathOf(r)
	}
	correlation := header(r.Header, headerCorrelation)
	if correlation == "" {
		correlation = header(r.Header, headerRequestID)
	}
	session, interaction := header(r.Header, headerSession), header(r.Header, headerInteraction)
	traceparent := header(r.Header, headerTraceparent)
	pos, rec := c.performance.claim()
	if rec == nil {
		return
	}
	rec.at, rec.took, rec.bytes = w.start, took, w.bytes
	rec.endpoint, rec.raw = endpoint, raw
	rec.method, rec.status = methodOf(r), status
	rec.user, rec.errorType = user, errorType
	rec.session, rec.interaction = session, interaction
	rec.traceparent, rec.correlation = traceparent, correlation
	c.performance.commit(pos)
}

// template returns the route template, "" where none is known.
func (w *writer) template() string {
	if w.notes != nil && w.notes.route != "" {
		return w.notes.route
	}
	if route := w.client.cfg.Route; route != nil {
		if t := w.client.ask(route, w.req); t != "" {
			return t
		}
	}
	return stripMethod(w.req.Pattern)
}

func (w *writer) userID() string {
	if w.notes != nil && w.notes.user != "" {
		return w.notes.user
	}
	if user := w.client.cfg.User; user != nil {
		return bounded(w.client.ask(user, w.req))
	}
	return forwardedUser(w.req)
}

// ask calls a callback of the app. It runs within the app's requests, which must
// not fail because counting them did.
func (c *Client) ask(f func(*http.Request) string, r *http.Request) (answer string) {
	defer func() {
		if v := recover(); v != nil {
			c.notices.say("callback", "a callback of the client's configuration panicked", "panic", v)
			answer = ""
		}
	}()
	return f(r)
}

// stripMethod cuts the method off a pattern of http.ServeMux: it is stored apart.
func stripMethod(pattern string) string {
	if i := strings.IndexByte(pattern, ' '); i >= 0 {
		return strings.TrimLeft(pattern[i+1:], " \t")
	}
	return pattern
}

func forwardedUser(r *http.Request) string {
	if u := header(r.Header, headerEmail); u != "" {
		return u
	}
	return header(r.Header, headerUser)
}

// header returns the first value of a header, whose key must be canonical: the
// map is asked directly because canonicalising seven keys is felt.
func header(h http.Header, key string) string {
	if v := h[key]; len(v) > 0 {
		return bounded(v[0])
	}
	return ""
}

// bounded leaves out what is too long to be an id: cut it would be another's, and
// kept it would let one client fill the ring's memory.
func bounded(s string) string {
	if len(s) > maxText && utf8.RuneCountInString(s) > maxText {
		return ""
	}
	return s
}

// pathOf returns the path from which the endpoint is named later. A record that
// waits keeps the whole request line in memory, so a long one is reduced now.
func pathOf(r *http.Request) string {
	const long = 1024
	if len(r.URL.Path) > long {
		return rules.ReducePath(r.URL.Path)
	}
	if len(r.RequestURI) > long {
		return strings.Clone(r.URL.Path)
	}
	return r.URL.Path
}

func methodOf(r *http.Request) string {
	if r.Method == "" { // net/http's short form, in requests that an app makes by hand
		return http.MethodGet
	}
	return rules.Method(r.Method)
}
