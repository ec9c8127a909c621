package lakepulse

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// behindServer runs a handler behind the middleware on a real server.
func behindServer(t *testing.T, h http.HandlerFunc, change ...func(*Config)) (*httptest.Server, *Client, *fakeIngest) {
	t.Helper()
	f := newFakeIngest(t)
	lp := start(t, f, change...)
	srv := httptest.NewServer(lp.Middleware(h))
	t.Cleanup(srv.Close)
	return srv, lp, f
}

func TestAnEventStreamFlushesAndIsNoTimeout(t *testing.T) {
	next := make(chan struct{})
	srv, lp, f := behindServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for i := range 3 {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			<-next
		}
	}, func(c *Config) { c.TimeoutThreshold = time.Nanosecond })
	resp, err := http.Get(srv.URL)
	require.NoError(t, err)
	lines := bufio.NewScanner(resp.Body)
	for i := range 3 { // each arrives while the handler still runs
		require.True(t, lines.Scan())
		require.Equal(t, fmt.Sprintf("data: %d", i), lines.Text())
		require.True(t, lines.Scan())
		next <- struct{}{}
	}
	require.NoError(t, resp.Body.Close())
	http.DefaultClient.CloseIdleConnections()
	srv.Close()
	closeFully(t, lp)
	require.Len(t, f.stored(), 1)
	require.Equal(t, http.StatusOK, f.stored()[0].StatusCode)
}

func TestAHijackIsRecordedAtOnceAndOnce(t *testing.T) {
	release := make(chan struct{})
	srv, lp, f := behindServer(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi\n")
		_ = rw.Flush()
		<-release
		_ = conn.Close()
		panic("after the hijack")
	}, func(c *Config) { c.TimeoutThreshold = time.Nanosecond })
	srv.Config.ErrorLog = newLogger(io.Discard)
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	require.NoError(t, err)
	_, err = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	require.NoError(t, err)
	got, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, got, "101")
	<-f.arrived // while the connection is open
	require.Len(t, f.stored(), 1)
	require.Equal(t, http.StatusSwitchingProtocols, f.stored()[0].StatusCode)
	close(release)
	_, err = io.ReadAll(conn)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	srv.Close()
	closeFully(t, lp)
	require.Len(t, f.stored(), 1)
}

func TestAClientThatLeavesIsToldApart(t *testing.T) {
	inside := make(chan struct{})
	srv, lp, f := behindServer(t, func(w http.ResponseWriter, r *http.Request) {
		close(inside)
		<-r.Context().Done()
		http.Error(w, "query cancelled", http.StatusInternalServerError)
	})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-inside
		cancel()
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, nil)
	require.NoError(t, err)
	_, err = http.DefaultClient.Do(req)
	require.ErrorIs(t, err, context.Canceled)
	http.DefaultClient.CloseIdleConnections()
	srv.Close()
	closeFully(t, lp)
	require.Len(t, f.stored(), 1)
	require.Equal(t, StatusClientDisconnected, f.stored()[0].StatusCode)
	require.Equal(t, ErrorDisconnected, f.stored()[0].ErrorType)
}

func TestAPanicReachesTheServer(t *testing.T) {
	var log strings.Builder
	srv, lp, f := behindServer(t, func(http.ResponseWriter, *http.Request) { deepInTheHandler() })
	srv.Config.ErrorLog = newLogger(&log)
	_, err := http.Get(srv.URL)
	require.True(t, errors.Is(err, io.EOF), "%v", err)
	http.DefaultClient.CloseIdleConnections()
	srv.Close()
	closeFully(t, lp)
	require.Equal(t, ErrorPanic, f.stored()[0].ErrorType)
	require.Contains(t, log.String(), "deepInTheHandler", "the trace still shows where")
}

//go:noinline
func deepInTheHandler() { panic("deep") }
