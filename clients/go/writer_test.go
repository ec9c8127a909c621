package lakepulse

import (
	"bufio"
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

var errFull = errors.New("from the wrapped writer")

// fullWriter has every optional interface and notes which was used.
type fullWriter struct {
	httptest.ResponseRecorder
	calls []string
}

func (f *fullWriter) call(name string) error {
	f.calls = append(f.calls, name)
	return errFull
}

func (f *fullWriter) Flush()            { _ = f.call("Flush") }
func (f *fullWriter) FlushError() error { return f.call("FlushError") }
func (f *fullWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, f.call("Hijack")
}
func (f *fullWriter) ReadFrom(r io.Reader) (int64, error) {
	_ = f.call("ReadFrom")
	return io.Copy(&f.ResponseRecorder, r)
}
func (f *fullWriter) Push(string, *http.PushOptions) error { return f.call("Push") }
func (f *fullWriter) CloseNotify() <-chan bool             { _ = f.call("CloseNotify"); return nil }
func (f *fullWriter) SetReadDeadline(time.Time) error      { return f.call("SetReadDeadline") }
func (f *fullWriter) EnableFullDuplex() error              { return f.call("EnableFullDuplex") }

// has returns the interfaces of w, in the bits of abilities.
func has(w http.ResponseWriter) (bits uint8) {
	for i, ok := range []bool{
		is[http.Flusher](w), is[http.Hijacker](w), is[io.ReaderFrom](w), is[http.Pusher](w),
		is[http.CloseNotifier](w), //nolint:staticcheck // gin needs it
	} {
		if ok {
			bits |= 1 << i
		}
	}
	return bits
}

func is[T any](v any) bool { _, ok := v.(T); return ok }

func TestWrappedWriterHasTheInterfacesOfTheOneItWraps(t *testing.T) {
	lp := start(t, nil, func(c *Config) { c.Sink = acceptAll{} })
	other := start(t, nil, func(c *Config) { c.Sink = acceptAll{} })
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for bits := range uint8(32) {
		t.Run(fmt.Sprintf("%05b", bits), func(t *testing.T) {
			full := &fullWriter{ResponseRecorder: *httptest.NewRecorder()}
			inner := (&writer{ResponseWriter: full, client: other, req: r}).wrap(bits)
			require.Equal(t, bits, has(inner), "the table of combinations")
			lp.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				require.Equal(t, bits, has(w))
				require.Equal(t, bits&1 != 0, is[interface{ FlushError() error }](w))
				reaches(t, w, full)
			})).ServeHTTP(inner, r)
		})
	}
	require.EqualValues(t, 32, lp.Stats().Performance.Created)
}

// reaches calls every interface of w and looks whether the call arrives.
func reaches(t *testing.T, w http.ResponseWriter, full *fullWriter) {
	t.Helper()
	var want []string
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
		require.ErrorIs(t, http.NewResponseController(w).Flush(), errFull)
		want = append(want, "FlushError", "FlushError")
	}
	if h, ok := w.(http.Hijacker); ok {
		_, _, err := h.Hijack()
		require.ErrorIs(t, err, errFull)
		want = append(want, "Hijack")
	}
	if f, ok := w.(io.ReaderFrom); ok {
		n, err := f.ReadFrom(strings.NewReader("abc"))
		require.NoError(t, err)
		require.EqualValues(t, 3, n)
		want = append(want, "ReadFrom")
	}
	if p, ok := w.(http.Pusher); ok {
		require.ErrorIs(t, p.Push("/x", nil), errFull)
		want = append(want, "Push")
	}
	if c, ok := w.(http.CloseNotifier); ok { //nolint:staticcheck // gin needs it
		c.CloseNotify()
		want = append(want, "CloseNotify")
	}
	require.ErrorIs(t, http.NewResponseController(w).SetReadDeadline(time.Time{}), errFull)
	require.ErrorIs(t, http.NewResponseController(w).EnableFullDuplex(), errFull)
	require.Equal(t, append(want, "SetReadDeadline", "EnableFullDuplex"), full.calls)
}

func TestWrappedWriterCountsWhatIsSent(t *testing.T) {
	for name, send := range map[string]func(w http.ResponseWriter) error{
		"Write":       func(w http.ResponseWriter) error { _, err := w.Write([]byte("12345")); return err },
		"WriteString": func(w http.ResponseWriter) error { _, err := io.WriteString(w, "12345"); return err },
		"Copy":        func(w http.ResponseWriter) error { _, err := io.Copy(w, strings.NewReader("12345")); return err },
		"Fprint":      func(w http.ResponseWriter) error { _, err := fmt.Fprint(w, 12345); return err },
	} {
		t.Run(name, func(t *testing.T) {
			var bytes int64
			lp := start(t, newFakeIngest(t), func(c *Config) {
				c.Before = func(_ *Performance, n int64) bool { bytes = n; return true }
			})
			srv := httptest.NewServer(lp.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				require.NoError(t, send(w))
			})))
			defer srv.Close()
			require.Equal(t, "12345", fetch(t, srv.URL))
			srv.Close() // waits for the handler, and so for its record
			closeFully(t, lp)
			require.EqualValues(t, 5, bytes)
		})
	}
}

// fetch returns the body of a GET.
func fetch(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	http.DefaultClient.CloseIdleConnections()
	return string(body)
}
