package lakepulse

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// serve sends one GET through a fresh client's middleware, which wrap may nest in
// others, and returns what ingest got. A panic of the handler is returned too.
func serve(t *testing.T, h http.Handler, r *http.Request, change ...func(*Config)) ([]Performance, any) {
	t.Helper()
	f := newFakeIngest(t)
	lp := start(t, f, change...)
	panicked := func() (v any) {
		defer func() { v = recover() }()
		lp.Middleware(h).ServeHTTP(httptest.NewRecorder(), r)
		return nil
	}()
	closeFully(t, lp)
	return f.stored(), panicked
}

func serveOne(t *testing.T, h http.Handler, r *http.Request, change ...func(*Config)) Performance {
	t.Helper()
	stored, panicked := serve(t, h, r, change...)
	require.Nil(t, panicked)
	require.Len(t, stored, 1)
	return stored[0]
}

// requireAcceptable checks what ingest would refuse an event for.
func requireAcceptable(t *testing.T, p *Performance) {
	t.Helper()
	require.NotZero(t, p.ID)
	require.NotEmpty(t, p.Endpoint)
	for text, most := range map[string]int{
		p.Endpoint: 500, p.UserID: 255, p.ErrorType: 255, p.Instance: 255, p.AppVersion: 255, p.SessionID: 255,
		p.InteractionID: 255, p.TraceID: 255, p.CorrelationID: 255,
	} {
		require.True(t, utf8.ValidString(text), "%q", text)
		require.NotContains(t, text, "\x00")
		require.LessOrEqual(t, utf8.RuneCountInString(text), most)
	}
}

func request(target string) *http.Request { return httptest.NewRequest(http.MethodGet, target, nil) }

func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

func TestMiddlewareRecordsWhatTheRequestSays(t *testing.T) {
	r := request("/items/7?secret=1")
	for k, v := range map[string]string{
		"X-Forwarded-Email": "ann@example.com", "X-Forwarded-User": "42",
		"X-Lakepulse-Session-Id": "tab-1", "X-Lakepulse-Interaction-Id": "click-9",
		"traceparent":      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"X-Correlation-ID": "corr", "X-Request-Id": "req",
	} {
		r.Header.Set(k, v)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{item}", func(w http.ResponseWriter, _ *http.Request) {
		now = now.Add(1500 * time.Microsecond)
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK)
	})
	p := serveOne(t, mux, r, func(c *Config) {
		c.Clock = func() time.Time { return now }
		c.AppVersion, c.Instance = "1.2.3", "web-1"
	})
	require.Equal(t, "/items/{item}", p.Endpoint)
	require.Equal(t, http.MethodGet, p.Method)
	require.Equal(t, http.StatusTeapot, p.StatusCode)
	require.Equal(t, "418", p.ErrorType)
	require.InDelta(t, 1.5, p.ResponseTimeMS, 0)
	require.Equal(t, now.Add(-1500*time.Microsecond), p.Timestamp.UTC())
	require.Equal(t, "shop", p.App)
	require.Equal(t, "1.2.3", p.AppVersion)
	require.Regexp(t, `^web-1-[0-9a-f]{8}$`, p.Instance)
	require.Equal(t, "ann@example.com", p.UserID)
	require.Equal(t, "tab-1", p.SessionID)
	require.Equal(t, "click-9", p.InteractionID)
	require.Equal(t, "0af7651916cd43dd8448eb211c80319c", p.TraceID)
	require.Equal(t, "corr", p.CorrelationID)
	require.EqualValues(t, 1, *p.Seq)
	require.EqualValues(t, 7, p.ID[6]>>4, "a UUID of version 7")
	requireAcceptable(t, &p)
}

func TestOutcomes(t *testing.T) {
	now := time.Now()
	clock := func(c *Config) { c.Clock = func() time.Time { return now } }
	late := func(w http.ResponseWriter, _ *http.Request) {
		now = now.Add(31 * time.Second)
		_, _ = w.Write([]byte("ok")) // a recorder takes everything
	}
	boom := errors.New("boom")
	tests := map[string]struct {
		handler   http.HandlerFunc
		cancelled bool
		status    int
		errorType string
		panics    any
	}{
		"nothing written is 200":         {func(http.ResponseWriter, *http.Request) {}, false, 200, "", nil},
		"a body without a status is 200": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(nil) }, false, 200, "", nil},
		"a status is kept":               {status(http.StatusNotFound).ServeHTTP, false, 404, "404", nil},
		"a panic is 500 and goes on":     {func(http.ResponseWriter, *http.Request) { panic(boom) }, false, 500, ErrorPanic, boom},
		"a panic after 200 is 500": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(200)
			panic(boom)
		}, false, 500, ErrorPanic, boom},
		"an abort is told apart from a panic and goes on": {
			func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false, 500, ErrorAborted, http.ErrAbortHandler,
		},
		"an abort because the client left is a disconnect": {
			func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true, 499, ErrorDisconnected, http.ErrAbortHandler,
		},
		"past the threshold is 504":                    {late, false, 504, ErrorTimeout, nil},
		"past the threshold is 504 without the client": {late, true, 504, ErrorTimeout, nil},
		"a client that left before any answer is 499":  {func(http.ResponseWriter, *http.Request) {}, true, 499, ErrorDisconnected, nil},
		"an error page nobody reads is 499":            {status(http.StatusInternalServerError).ServeHTTP, true, 499, ErrorDisconnected, nil},
		"an answer the handler finished stands":        {status(http.StatusOK).ServeHTTP, true, 200, "", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := request("/x")
			if tt.cancelled {
				r = r.WithContext(closedContext())
			}
			stored, panicked := serve(t, tt.handler, r, clock)
			require.Equal(t, tt.panics, panicked)
			require.Len(t, stored, 1)
			require.Equal(t, tt.status, stored[0].StatusCode)
			require.Equal(t, tt.errorType, stored[0].ErrorType)
		})
	}
}

func TestADeadlineOfTheAppsOwnIsNoDisconnect(t *testing.T) {
	ctx, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	p := serveOne(t, status(http.StatusServiceUnavailable), request("/x").WithContext(ctx))
	require.Equal(t, http.StatusServiceUnavailable, p.StatusCode)
}

func TestExclusions(t *testing.T) {
	for path, excluded := range map[string]bool{
		"/health": true, "/ready": true, "/ping": true, "/ping/": true, "/internal/x": true, "/admin/system/x/y": true,
		"/static/a/b.js": true, "/exact": true,
		"/healthy": false, "/internal": false, "/admin/systems": false, "/api/health": false, "/exact/": false, "/statics": false,
	} {
		t.Run(path, func(t *testing.T) {
			stored, _ := serve(t, status(200), request(path), func(c *Config) { c.Exclude = []string{"/static/*", "/exact"} })
			require.Equal(t, excluded, len(stored) == 0)
		})
	}
}

func TestEndpoints(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/items/{item}", status(200))
	mux.Handle("POST example.com/hosted", status(200))
	mux.Handle("/{$}", status(200))
	inner := http.NewServeMux()
	inner.Handle("/nested/{deep}", status(200))
	mux.Handle("/nested/", inner)
	copying := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r.WithContext(r.Context())) })
	}
	named := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		require.True(t, SetRoute(struct{ wrapped }{wrapped{w}}, "/by/:name"))
	})
	tests := map[string]struct {
		handler http.Handler
		target  string
		want    string
		config  func(*Config)
	}{
		"the mux's template":                         {mux, "/items/7", "/items/{item}", nil},
		"the root's":                                 {mux, "/", "/{$}", nil},
		"the innermost mux's":                        {mux, "/nested/7", "/nested/{deep}", nil},
		"unmatched, reduced":                         {mux, "/no/123/x", "/no/{id}/x", nil},
		"hidden by a copy, reduced":                  {copying(mux), "/items/7", "/items/{id}", nil},
		"hidden by a copy, passed on by Routed":      {copying(Routed(mux)), "/items/7", "/items/{item}", nil},
		"by the callback":                            {mux, "/items/7", "/called", func(c *Config) { c.Route = func(*http.Request) string { return "/called" } }},
		"the callback has none":                      {mux, "/items/7", "/items/{item}", func(c *Config) { c.Route = func(*http.Request) string { return "" } }},
		"the callback panics":                        {mux, "/items/7", "/items/{item}", func(c *Config) { c.Route = func(*http.Request) string { panic("no") } }},
		"by SetRoute through another's wrapper":      {named, "/by/7", "/by/:name", nil},
		"what is too long is cut":                    {status(200), "/" + strings.Repeat("é/", 400), "", nil},
		"NUL and broken UTF-8 do not get it refused": {status(200), "/a%00b%ffc", "", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var change []func(*Config)
			if tt.config != nil {
				change = append(change, tt.config)
			}
			p := serveOne(t, tt.handler, request(tt.target), change...)
			if tt.want != "" {
				require.Equal(t, tt.want, p.Endpoint)
			}
			requireAcceptable(t, &p)
		})
	}
}

// wrapped is another middleware's ResponseWriter.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestUsers(t *testing.T) {
	mail := func(r *http.Request) { r.Header.Set("X-Forwarded-Email", "ann@example.com") }
	user := func(r *http.Request) { r.Header.Set("X-Forwarded-User", "42") }
	callback := func(c *Config) { c.User = func(r *http.Request) string { return r.Header.Get("X-Me") } }
	tests := map[string]struct {
		handler http.Handler
		request func(*http.Request)
		config  func(*Config)
		want    string
	}{
		"nobody":                     {status(200), func(*http.Request) {}, nil, ""},
		"the e-mail header":          {status(200), func(r *http.Request) { mail(r); user(r) }, nil, "ann@example.com"},
		"else the user header":       {status(200), user, nil, "42"},
		"the callback alone":         {status(200), func(r *http.Request) { mail(r); r.Header.Set("X-Me", "me") }, callback, "me"},
		"the callback says nobody":   {status(200), mail, callback, ""},
		"what is too long is nobody": {status(200), func(r *http.Request) { r.Header.Set("X-Me", strings.Repeat("x", 256)) }, callback, ""},
		"SetUser wins":               {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { SetUser(w, "inside") }), mail, callback, "inside"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := request("/x")
			tt.request(r)
			var change []func(*Config)
			if tt.config != nil {
				change = append(change, tt.config)
			}
			require.Equal(t, tt.want, serveOne(t, tt.handler, r, change...).UserID)
		})
	}
}

func TestARequestIsRecordedOnce(t *testing.T) {
	t.Run("wrapped twice", func(t *testing.T) {
		f := newFakeIngest(t)
		lp := start(t, f)
		get(t, lp.Middleware(lp.Middleware(status(200))), "/x")
		closeFully(t, lp)
		require.Len(t, f.stored(), 1)
	})
	t.Run("or not at all where the handler says so", func(t *testing.T) {
		stored, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { Unrecorded(w) }), request("/x"))
		require.Empty(t, stored)
	})
	t.Run("and not where no client is", func(t *testing.T) {
		require.False(t, SetRoute(httptest.NewRecorder(), "/x"))
	})
}

func TestUnknownMethodsAreOne(t *testing.T) {
	r := request("/x")
	r.Method = "BREW"
	require.Equal(t, "_OTHER", serveOne(t, status(200), r).Method)
}

func TestBefore(t *testing.T) {
	edit := func(c *Config) {
		c.Before = func(p *Performance, _ int64) bool {
			switch p.Endpoint {
			case "/secret":
				return false
			case "/broken":
				panic("hook")
			}
			p.UserID = "\x00hidden"
			return true
		}
	}
	f := newFakeIngest(t)
	lp := start(t, f, edit)
	for _, path := range []string{"/secret", "/broken", "/open"} {
		get(t, lp.Middleware(status(200)), path)
	}
	_ = lp.Close(context.Background()) // says that one is lost, unless it was so before
	balanced(t, lp)
	require.Len(t, f.stored(), 1)
	require.Equal(t, "hidden", f.stored()[0].UserID)
	require.EqualValues(t, 2, *f.stored()[0].Seq, "the broken one left a gap, the withheld one did not")
	require.Equal(t, Account{Created: 3, Accepted: 1, Withheld: 1, Dropped: 1}, lp.Stats().Performance)
}
