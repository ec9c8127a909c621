package lakepulse

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// writer notes status and bytes of one response. It is never pooled: a handler
// that keeps its ResponseWriter too long must not write into another's record.
// It is the one allocation of a request, so it is kept to 64 bytes.
//
// It has only what every ResponseWriter has; the optional interfaces are added
// by the types of interfaces.go.
type writer struct {
	http.ResponseWriter
	client *Client
	req    *http.Request
	start  time.Duration // since the client's epoch
	bytes  int64
	notes  *notes // nil for most requests
	status int32

	returned bool // the handler came back: it neither panicked nor called Goexit
	settled  bool // recorded, or not to be
	gone     bool // the client had left before the first byte of an error answer
}

// notes are what few requests have.
type notes struct {
	route  string        // by SetRoute
	user   string        // by SetUser
	stream bool          // text/event-stream: lasts as long as the page that reads it
	first  time.Duration // of a stream: until its header was written
}

func (w *writer) noted() *notes {
	if w.notes == nil {
		w.notes = &notes{}
	}
	return w.notes
}

// exchange lets SetRoute and its like find the writer behind other wrappers.
func (w *writer) exchange() *writer { return w }

// Unwrap serves http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader notes the first final status: 1xx other than 101 come before the
// answer and are passed on only.
func (w *writer) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.begin(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) begin(status int) {
	w.status = int32(status) // net/http refuses more than three digits
	if status >= http.StatusBadRequest {
		// Most handlers answer a cancelled query with an error page that nobody reads.
		w.gone = w.cancelled()
		return
	}
	if t := w.Header()["Content-Type"]; len(t) == 1 && isEventStream(t[0]) {
		n := w.noted()
		n.stream, n.first = true, w.client.elapsed()-w.start
	}
}

func (w *writer) cancelled() bool { return w.req.Context().Err() == context.Canceled }

func isEventStream(contentType string) bool {
	const name = "text/event-stream"
	return len(contentType) >= len(name) && contentType[:len(name)] == name
}

func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// WriteString spares the copy that io.WriteString would make otherwise. For a
// writer without WriteString it is the same copy as without us.
func (w *writer) WriteString(s string) (int, error) {
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	n, err := io.WriteString(w.ResponseWriter, s)
	w.bytes += int64(n)
	return n, err
}

// The methods below serve interfaces.go: each type there exposes those whose
// interface the wrapped writer has, so the assertions hold.

func (w *writer) flush() { _ = w.flushError() } // http.Flusher has no way to say it

func (w *writer) flushError() error {
	if w.status == 0 {
		w.begin(http.StatusOK) // a flush sends the header
	}
	if f, ok := w.ResponseWriter.(interface{ FlushError() error }); ok {
		return f.FlushError()
	}
	w.ResponseWriter.(http.Flusher).Flush()
	return nil
}

// hijack records the request at once: HTTP is over, and the handler may now stay
// for as long as the connection lives.
func (w *writer) hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := w.ResponseWriter.(http.Hijacker).Hijack()
	if err == nil && !w.settled {
		if w.status == 0 {
			w.status = http.StatusSwitchingProtocols
		}
		w.settle(w.status, "", w.client.elapsed()-w.start)
	}
	return conn, rw, err
}

func (w *writer) readFrom(src io.Reader) (int64, error) {
	if w.status == 0 {
		w.begin(http.StatusOK)
	}
	n, err := w.ResponseWriter.(io.ReaderFrom).ReadFrom(src)
	w.bytes += n
	return n, err
}

func (w *writer) push(target string, opts *http.PushOptions) error {
	return w.ResponseWriter.(http.Pusher).Push(target, opts)
}

func (w *writer) closeNotify() <-chan bool {
	//nolint:staticcheck // deprecated, and still what some frameworks stream by
	return w.ResponseWriter.(http.CloseNotifier).CloseNotify()
}
