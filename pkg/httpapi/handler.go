package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/fault"
)

// HandlerParams are what a handler is made of.
type HandlerParams struct {
	Routes   []Route
	Auth     auth.Authenticator
	Readers  Readers // nil: only administrators read
	Log      *slog.Logger
	Registry prometheus.Registerer
	// Fallback serves what no route and no API path matches: the dashboard.
	Fallback http.Handler
}

// NewHandler returns the handler of all routes.
func NewHandler(p HandlerParams) http.Handler {
	h := &handler{auth: p.Auth, readers: p.Readers, log: p.Log, seconds: newDurations(p.Registry)}
	mux := http.NewServeMux()
	methods := map[string][]string{}
	compress := newCompressor()
	for _, route := range p.Routes {
		served := h.serve(route)
		if route.Method == http.MethodGet { // answers to posts are short
			served = compress(served)
		}
		mux.Handle(route.Method+" "+route.Path, served)
		methods[route.Path] = append(methods[route.Path], route.Method)
	}
	for path, allowed := range methods {
		mux.Handle(path, h.refuse(allowed))
	}
	if _, taken := methods["/"]; !taken {
		mux.Handle("/", h.other(p.Fallback))
	}
	return h.around(mux)
}

// Readers says which apps a person may read who is no administrator.
type Readers interface {
	// ReadableApps returns them sorted. Its errors are *fault.Error.
	ReadableApps(ctx context.Context, caller auth.Caller) ([]string, error)
}

type handler struct {
	auth    auth.Authenticator
	readers Readers
	log     *slog.Logger
	seconds *prometheus.HistogramVec
}

func newDurations(reg prometheus.Registerer) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "lakepulse_http_request_duration_seconds",
		Help:    "Time to answer a request, by route and status.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"method", "route", "code"})
	if reg != nil {
		reg.MustRegister(v)
	}
	return v
}

// around is what every request passes, whatever serves it.
func (h *handler) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, inner := correlate(r)
		header := w.Header()
		header.Set(HeaderCorrelation, id)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Content-Security-Policy", contentSecurityPolicy)
		next.ServeHTTP(w, inner)
		r.Pattern = inner.Pattern // for those around us, who hold the outer request
	})
}

// contentSecurityPolicy lets the page load nothing but its own files, and run
// and style nothing that is written into it.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; " +
	"img-src 'self'; font-src 'self'; connect-src 'self'; manifest-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func (h *handler) serve(route Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		rec := &recorder{ResponseWriter: w}
		defer func() {
			if v := recover(); v != nil {
				h.panicked(rec, r, v)
			}
			h.seconds.WithLabelValues(route.Method, route.Path, strconv.Itoa(rec.status())).
				Observe(time.Since(started).Seconds())
		}()
		if err := h.call(rec, r, route); err != nil {
			h.failed(rec, r, route, err)
		}
	})
}

func (h *handler) call(w http.ResponseWriter, r *http.Request, route Route) error {
	var caller auth.Caller
	if route.Access != Public {
		var err error
		if caller, err = h.auth.Authenticate(r); err != nil {
			return err
		}
		if caller, err = h.allow(r, route.Access, caller); err != nil {
			return err
		}
	}
	if route.allow != nil {
		if err := route.allow(caller); err != nil {
			return err
		}
	}
	if err := checkQuery(r, route.query); err != nil {
		return err
	}
	leave, err := route.gate.Enter(r.Context(), caller)
	if err != nil {
		return err
	}
	defer leave()
	if route.large != nil {
		l := &large{gate: route.large, caller: caller}
		defer l.done()
		r = r.WithContext(context.WithValue(r.Context(), largeKey{}, l))
	}
	return route.handle(w, r, caller, bodyDeadline(w, route.body))
}

// bodyDeadline bounds how long the body may take, so that a slot cannot be held
// by sending slowly. The function it returns takes the bound away again: a bound
// that ends while the answer is made would look like a client that has left.
func bodyDeadline(w http.ResponseWriter, d time.Duration) (read func()) {
	if d == 0 {
		return func() {}
	}
	setReadDeadline(w, d)
	return func() { setReadDeadline(w, 0) }
}

// allow refuses a caller without the right to an endpoint. It returns the caller
// with the apps it may read, where that matters.
func (h *handler) allow(r *http.Request, access Access, caller auth.Caller) (auth.Caller, error) {
	switch access {
	case Admin:
		return caller, auth.RequireAdmin(caller)
	case Operator:
		return caller, auth.RequireOperator(caller)
	case Reader, AnyReader:
		return h.allowReader(r, access, caller)
	case Public, Authenticated: // the caller is known where that is asked for
	}
	return caller, nil
}

func (h *handler) allowReader(r *http.Request, access Access, caller auth.Caller) (auth.Caller, error) {
	if caller.Admin || h.readers == nil {
		return caller, auth.RequireAdmin(caller)
	}
	apps, err := h.readers.ReadableApps(r.Context(), caller)
	if err != nil {
		return caller, err
	}
	if len(apps) == 0 {
		return caller, auth.RequireAdmin(caller)
	}
	caller.ReadableApps = apps
	asked := r.URL.Query()["app"]
	if access == Reader && (len(asked) != 1 || !slices.Contains(apps, asked[0])) {
		return caller, fault.New(fault.Forbidden, "app: must name one of the apps you may read: %s", strings.Join(apps, ", ")).With("field", "app")
	}
	return caller, nil
}

// failed writes the error answer and the one log line about it.
func (h *handler) failed(rec *recorder, r *http.Request, route Route, err error) {
	if _, gone := errors.AsType[errClientGone](err); gone || r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		h.log.Debug("http: client left before the answer", "route", route.Path, "correlation_id", CorrelationID(r.Context()))
		return
	}
	f := fault.As(err)
	level := slog.LevelDebug
	if f.Status() >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	h.log.Log(r.Context(), level, "http: request failed", "method", r.Method, "route", route.Path,
		"status", f.Status(), "error", err, "correlation_id", CorrelationID(r.Context()))
	if rec.code != 0 { // the answer is under way: cut it, so that a half is not taken for a whole
		panic(http.ErrAbortHandler)
	}
	drain(rec, r)
	WriteError(rec, err)
}

func (h *handler) panicked(rec *recorder, r *http.Request, v any) {
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	h.log.Error("http: handler panicked", "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(v),
		"stack", string(debug.Stack()), "correlation_id", CorrelationID(r.Context()))
	if rec.code == 0 {
		WriteError(rec, fault.New(fault.Internal, "Something went wrong on our side"))
	}
}

// refuse answers a known path with another method.
func (h *handler) refuse(allowed []string) http.Handler {
	slices.Sort(allowed)
	list := strings.Join(allowed, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		drain(w, r)
		w.Header().Set("Allow", list)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusMethodNotAllowed)
		// A client that is gone cannot be told.
		_, _ = fmt.Fprintf(w, `{"error":"method_not_allowed","message":"This path takes %s","status_code":405,"details":{}}`+"\n", list)
	})
}

// other serves what no route matched: JSON under the API, the dashboard elsewhere.
func (h *handler) other(fallback http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fallback == nil || strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, "/v1/") {
			drain(w, r)
			WriteError(w, fault.New(fault.NotFound, "There is nothing at this path"))
			return
		}
		fallback.ServeHTTP(w, r)
	})
}

// recorder remembers the status, so that metrics can tell and a started answer
// is not given a second head.
type recorder struct {
	http.ResponseWriter
	code int
}

func (r *recorder) WriteHeader(code int) {
	if r.code == 0 && code >= http.StatusOK {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach deadlines and flushing.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) status() int {
	if r.code == 0 {
		return http.StatusOK
	}
	return r.code
}
