package httpapi_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// who authenticates by a header that says what the caller is.
type who struct{}

func (who) Authenticate(r *http.Request) (auth.Caller, error) {
	switch r.Header.Get("Who") {
	case "admin":
		return auth.Caller{Kind: auth.KindUser, Admin: true}, nil
	case "user":
		return auth.Caller{Kind: auth.KindUser, UserID: "u"}, nil
	case "service":
		return auth.Caller{Kind: auth.KindService}, nil
	}
	return auth.Caller{}, fault.New(fault.Unauthenticated, "Authentication required")
}

type reply struct {
	Said string `json:"said"`
}

func endpoint(path string, access httpapi.Access, execute func(context.Context) error) httpapi.Route {
	return httpapi.Endpoint[struct{}, reply]{
		Method: http.MethodGet, Path: path, Access: access, Decode: httpapi.NoRequest,
		Execute: func(ctx context.Context, _ auth.Caller, _ struct{}) (reply, error) {
			return reply{Said: httpapi.CorrelationID(ctx)}, execute(ctx)
		},
	}.Route()
}

func setup(t *testing.T, routes ...httpapi.Route) http.Handler {
	t.Helper()
	return httpapi.NewHandler(httpapi.HandlerParams{
		Routes: routes, Auth: who{}, Log: testkit.Logger(t),
		Fallback: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "dashboard") }),
	})
}

func get(h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func fine(context.Context) error { return nil }

func TestAccess(t *testing.T) {
	t.Parallel()
	h := setup(t, endpoint("/api/public", httpapi.Public, fine), endpoint("/api/known", httpapi.Authenticated, fine),
		endpoint("/api/admin", httpapi.Admin, fine), endpoint("/api/operator", httpapi.Operator, fine))
	cases := []struct {
		path, who string
		want      int
	}{
		{"/api/public", "", 200}, {"/api/known", "", 401}, {"/api/known", "user", 200},
		{"/api/admin", "user", 403}, {"/api/admin", "service", 403}, {"/api/admin", "admin", 200},
		{"/api/operator", "user", 403}, {"/api/operator", "service", 200}, {"/api/operator", "admin", 200},
	}
	for _, c := range cases {
		require.Equal(t, c.want, get(h, c.path, "Who", c.who).Code, "%s as %q", c.path, c.who)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	h := setup(t,
		endpoint("/api/fine", httpapi.Public, fine),
		endpoint("/api/away", httpapi.Public, func(context.Context) error {
			return fault.Wrap(errors.New("dial 10.0.0.1"), fault.Unavailable, "Data temporarily unavailable").After(1500 * time.Millisecond)
		}),
		endpoint("/api/bug", httpapi.Public, func(context.Context) error { return errors.New("SELECT secret") }),
		endpoint("/api/panic", httpapi.Public, func(context.Context) error { panic("oh") }))

	t.Run("a correlation id is kept, or made", func(t *testing.T) {
		t.Parallel()
		w := get(h, "/api/fine", "X-Correlation-ID", "abc-1")
		require.Equal(t, "abc-1", w.Header().Get("X-Correlation-ID"))
		outside := httpapi.Correlated(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		require.Equal(t, "abc-1", get(outside, "/health", "X-Correlation-ID", "abc-1").Header().Get("X-Correlation-ID"))
		require.NotEmpty(t, get(outside, "/health").Header().Get("X-Correlation-ID"))
		require.JSONEq(t, `{"said":"abc-1"}`, w.Body.String())
		for _, bad := range []string{"", "a b", "a\"b", strings.Repeat("x", 200)} {
			got := get(h, "/api/fine", "X-Correlation-ID", bad).Header().Get("X-Correlation-ID")
			require.NotEmpty(t, got)
			require.NotEqual(t, bad, got)
		}
	})

	t.Run("an outage says when to come back", func(t *testing.T) {
		t.Parallel()
		w := get(h, "/api/away")
		require.Equal(t, 503, w.Code)
		require.Equal(t, "2", w.Header().Get("Retry-After"))
		require.JSONEq(t, `{"error":"service_unavailable","message":"Data temporarily unavailable","status_code":503,"details":{}}`, w.Body.String())
	})

	t.Run("a mistake of ours gives nothing away", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/api/bug", "/api/panic"} {
			w := get(h, path)
			require.Equal(t, 500, w.Code)
			require.NotContains(t, w.Body.String(), "secret")
			require.NotContains(t, w.Body.String(), "oh")
		}
	})

	t.Run("no such path, no such method, the dashboard", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, 404, get(h, "/api/nothing").Code)
		require.Equal(t, "application/json", get(h, "/api/nothing").Header().Get("Content-Type"))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodDelete, "/api/fine", nil))
		require.Equal(t, 405, w.Code)
		require.Equal(t, "GET", w.Header().Get("Allow"))
		require.Equal(t, "dashboard", get(h, "/metrics/orders").Body.String())
	})

	t.Run("every answer carries the security headers", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/", "/api/fine", "/api/nothing", "/api/panic"} {
			header := get(h, path).Header()
			require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), path)
			csp := header.Get("Content-Security-Policy")
			require.Contains(t, csp, "script-src 'self';", "no inline script, no eval")
			require.Contains(t, csp, "frame-ancestors 'none'")
		}
	})
}

func TestInFlight(t *testing.T) {
	t.Parallel()
	inside, leave := make(chan struct{}), make(chan struct{})
	h := setup(t, httpapi.Endpoint[struct{}, reply]{
		Method: http.MethodGet, Path: "/api/slow", Gate: httpapi.NewGate(1), Decode: httpapi.NoRequest,
		Execute: func(context.Context, auth.Caller, struct{}) (reply, error) {
			inside <- struct{}{}
			<-leave
			return reply{}, nil
		},
	}.Route())
	first := make(chan int, 1)
	go func() { first <- get(h, "/api/slow").Code }()
	testkit.Receive(t, "the first request", inside)
	w := get(h, "/api/slow")
	require.Equal(t, 503, w.Code, "the second is told to come back")
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	close(leave)
	require.Equal(t, 200, testkit.Receive(t, "its answer", first))
}

func TestServer(t *testing.T) {
	t.Parallel()
	started, finish := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(started)
			<-finish
		}
		_, _ = io.WriteString(w, r.Proto)
	})
	s, err := httpapi.Listen(t.Context(), "127.0.0.1:0", handler, testkit.Logger(t))
	require.NoError(t, err)
	s.Serve(func(err error) { t.Errorf("serving failed: %v", err) })

	fetch := func(client *http.Client, path string) (string, error) {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+s.Addr()+path, nil)
		if err != nil {
			return "", err
		}
		resp, err := client.Do(req)
		if err != nil {
			return "", err
		}
		body, err := io.ReadAll(resp.Body)
		return string(body), errors.Join(err, resp.Body.Close())
	}

	t.Run("HTTP/2 in the clear is spoken, as the Apps proxy asks", func(t *testing.T) {
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: protocols}
		defer transport.CloseIdleConnections()
		body, err := fetch(&http.Client{Transport: transport}, "/")
		require.NoError(t, err)
		require.Equal(t, "HTTP/2.0", body)
	})

	t.Run("what is in flight at shutdown is finished", func(t *testing.T) {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		answer := make(chan string, 1)
		go func() {
			body, err := fetch(&http.Client{Transport: transport}, "/slow")
			if err != nil {
				body = err.Error()
			}
			answer <- body
		}()
		testkit.Receive(t, "the request", started)
		stopped := make(chan error, 1)
		go func() { stopped <- s.Shutdown(context.Background()) }()
		testkit.Eventually(t, "the listener to close", func() bool {
			c, err := net.Dial("tcp", s.Addr()) // loopback, refused or not
			if err == nil {
				_ = c.Close() // only asked whether somebody listens
			}
			return err != nil
		})
		close(finish)
		require.Equal(t, "HTTP/1.1", testkit.Receive(t, "its answer", answer))
		require.NoError(t, testkit.Receive(t, "the end", stopped))
	})
}
