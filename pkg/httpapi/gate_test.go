package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestGate(t *testing.T) {
	t.Parallel()
	ada, bob := auth.Caller{Kind: auth.KindUser, UserID: "ada"}, auth.Caller{Kind: auth.KindUser, UserID: "bob"}

	t.Run("no caller has more than a quarter", func(t *testing.T) {
		t.Parallel()
		g := httpapi.NewGate(8)
		var leave []func()
		for range 2 {
			done, err := g.Enter(t.Context(), ada)
			require.NoError(t, err)
			leave = append(leave, done)
		}
		_, err := g.Enter(t.Context(), ada)
		require.Equal(t, fault.Unavailable, fault.CodeOf(err))
		done, err := g.Enter(t.Context(), bob)
		require.NoError(t, err, "the others have theirs")
		done()
		leave[0]()
		done, err = g.Enter(t.Context(), ada)
		require.NoError(t, err, "what is given back can be taken again")
		done()
		leave[1]()
	})

	t.Run("all callers together have all of it", func(t *testing.T) {
		t.Parallel()
		g := httpapi.NewGate(4)
		for i := range 4 {
			_, err := g.Enter(t.Context(), auth.Caller{Kind: auth.KindApp, App: fmt.Sprint(i)})
			require.NoError(t, err)
		}
		_, err := g.Enter(t.Context(), bob)
		require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	})

	t.Run("none lets everything through", func(t *testing.T) {
		t.Parallel()
		leave, err := httpapi.NewGate(0).Enter(t.Context(), ada)
		require.NoError(t, err)
		leave()
	})
}

// counting counts what is read of a body.
type counting struct {
	io.Reader
	read atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read.Add(int64(n))
	return n, err
}

func upload(more func(*httpapi.Endpoint[[]byte, reply])) httpapi.Route {
	e := httpapi.Endpoint[[]byte, reply]{
		Method: http.MethodPost, Path: "/api/upload", Access: httpapi.Authenticated,
		Decode: func(r *http.Request) ([]byte, error) {
			body, err := io.ReadAll(io.LimitReader(r.Body, 1001))
			if err == nil && len(body) > 1000 {
				err = fault.New(fault.TooLarge, "too large")
			}
			return body, err
		},
		Execute: func(context.Context, auth.Caller, []byte) (reply, error) { return reply{}, nil },
	}
	more(&e)
	return e.Route()
}

func TestBodies(t *testing.T) {
	t.Parallel()

	t.Run("who may not send is refused before a byte is read", func(t *testing.T) {
		t.Parallel()
		decoded := false
		h := setup(t, upload(func(e *httpapi.Endpoint[[]byte, reply]) {
			e.Allow = func(auth.Caller) error { return fault.New(fault.Forbidden, "not you") }
			e.Decode = func(*http.Request) ([]byte, error) { decoded = true; return nil, nil }
		}))
		r := httptest.NewRequest(http.MethodPost, "/api/upload", strings.NewReader("x"))
		r.Header.Set("Who", "user")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusForbidden, w.Code)
		require.False(t, decoded)
	})

	t.Run("the answer to a body that is too large is seen by who sends all of it first", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(setup(t, upload(func(*httpapi.Endpoint[[]byte, reply]) {})))
		t.Cleanup(server.Close)
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		const size = 30 << 20
		_, err = fmt.Fprintf(conn, "POST /api/upload HTTP/1.1\r\nHost: x\r\nWho: user\r\nContent-Length: %d\r\n\r\n", size)
		require.NoError(t, err)
		_, err = conn.Write(make([]byte, size))
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
	})

	t.Run("more than anybody should send is not read to its end", func(t *testing.T) {
		t.Parallel()
		h := setup(t, upload(func(*httpapi.Endpoint[[]byte, reply]) {}))
		body := &counting{Reader: strings.NewReader(strings.Repeat("x", 70<<20))}
		r := httptest.NewRequest(http.MethodPost, "/api/upload", body)
		r.Header.Set("Who", "user")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
		require.Less(t, body.read.Load(), int64(66<<20))
	})

	t.Run("who is to be told to send is not told to", func(t *testing.T) {
		t.Parallel()
		h := setup(t, upload(func(e *httpapi.Endpoint[[]byte, reply]) {
			e.Allow = func(auth.Caller) error { return fault.New(fault.Forbidden, "not you") }
		}))
		body := &counting{Reader: strings.NewReader("x")}
		r := httptest.NewRequest(http.MethodPost, "/api/upload", body)
		r.Header.Set("Who", "user")
		r.Header.Set("Expect", "100-continue")
		h.ServeHTTP(httptest.NewRecorder(), r)
		require.Zero(t, body.read.Load())
	})

	t.Run("a body that does not come gives its slot back", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(setup(t, upload(func(e *httpapi.Endpoint[[]byte, reply]) {
			e.Gate, e.BodyTimeout = httpapi.NewGate(1), 50*time.Millisecond
		})))
		t.Cleanup(server.Close)
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		_, err = io.WriteString(conn, "POST /api/upload HTTP/1.1\r\nHost: x\r\nWho: user\r\nContent-Length: 1000\r\n\r\nx")
		require.NoError(t, err)
		testkit.Eventually(t, "the slot to be free again", func() bool {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/api/upload", strings.NewReader("x"))
			require.NoError(t, err)
			r.Header.Set("Who", "service")
			resp, err := server.Client().Do(r)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			return resp.StatusCode == http.StatusOK
		})
	})

	t.Run("large requests have a gate of their own until they are answered", func(t *testing.T) {
		t.Parallel()
		inside, leave := make(chan struct{}), make(chan struct{})
		h := setup(t, upload(func(e *httpapi.Endpoint[[]byte, reply]) {
			e.Large = httpapi.NewGate(1)
			e.Decode = func(r *http.Request) ([]byte, error) {
				if r.Header.Get("Large") == "" {
					return nil, nil
				}
				return []byte("large"), httpapi.EnterLarge(r.Context())
			}
			e.Execute = func(_ context.Context, _ auth.Caller, body []byte) (reply, error) {
				if len(body) > 0 {
					inside <- struct{}{}
					<-leave
				}
				return reply{}, nil
			}
		}))
		send := func(large string) int {
			r := httptest.NewRequest(http.MethodPost, "/api/upload", nil)
			r.Header.Set("Who", "user")
			r.Header.Set("Large", large)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		first := make(chan int, 1)
		go func() { first <- send("yes") }()
		testkit.Receive(t, "the first large request", inside)
		require.Equal(t, http.StatusOK, send(""))
		require.Equal(t, http.StatusServiceUnavailable, send("yes"))
		close(leave)
		require.Equal(t, http.StatusOK, testkit.Receive(t, "its answer", first))
		go func() { first <- send("yes") }()
		testkit.Receive(t, "another large request", inside)
		require.Equal(t, http.StatusOK, testkit.Receive(t, "its answer", first))
	})
}

func TestGuard(t *testing.T) {
	t.Parallel()
	inner := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	ask := func(h http.Handler, method, host string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/", nil)
		r.Host = host
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}

	t.Run("names of this machine, and no others", func(t *testing.T) {
		t.Parallel()
		h := httpapi.Guard(inner, true)
		for _, host := range []string{"localhost", "localhost:8080", "LOCALHOST:1", "app.localhost", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "::1", "localhost."} {
			require.Equal(t, http.StatusNoContent, ask(h, http.MethodGet, host).Code, host)
		}
		for _, host := range []string{"", "evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "0.0.0.0:8080", "127.0.0.1@evil.example"} {
			w := ask(h, http.MethodGet, host)
			require.Equal(t, http.StatusForbidden, w.Code, host)
			require.NotEmpty(t, w.Header().Get("X-Correlation-ID"))
		}
	})

	t.Run("a cross-site page cannot write, wherever we listen", func(t *testing.T) {
		t.Parallel()
		for _, localOnly := range []bool{true, false} {
			h := httpapi.Guard(inner, localOnly)
			for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
				require.Equal(t, http.StatusForbidden, ask(h, method, "localhost:8080", "Sec-Fetch-Site", "cross-site", "Content-Type", "text/plain").Code)
				require.Equal(t, http.StatusForbidden, ask(h, method, "localhost:8080", "Origin", "https://evil.example").Code)
				require.Equal(t, http.StatusNoContent, ask(h, method, "localhost:8080", "Sec-Fetch-Site", "same-origin").Code)
				require.Equal(t, http.StatusNoContent, ask(h, method, "localhost:8080", "Origin", "http://localhost:8080").Code)
				require.Equal(t, http.StatusNoContent, ask(h, method, "localhost:8080").Code, "no browser at all")
			}
			require.Equal(t, http.StatusNoContent, ask(h, http.MethodGet, "localhost:8080", "Sec-Fetch-Site", "cross-site").Code)
		}
	})
}
