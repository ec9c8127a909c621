package httpapi

import (
	"io"
	"net/http"
	"time"
)

// What is done about the rest of a refused request's body: a client that sends
// all of it before it reads would never see the answer if the connection were
// closed under it.
const (
	maxDrained   = 64 << 20
	drainTimeout = 5 * time.Second
)

// drain reads and throws away what is left of the body, up to a bound and a
// deadline. A client that waits to be told to send (Expect) is not told to. Over
// HTTP/2 the answer arrives without it.
func drain(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || r.ProtoMajor > 1 || r.ContentLength > maxDrained || r.Header.Get("Expect") != "" {
		return
	}
	setReadDeadline(w, drainTimeout)
	// The answer is written whatever comes of it.
	_, _ = io.CopyN(io.Discard, r.Body, maxDrained)
	setReadDeadline(w, 0)
}

// setReadDeadline bounds reading the request from now on; 0 takes the bound away.
// Writers without deadlines (those of tests) are left as they are.
func setReadDeadline(w http.ResponseWriter, d time.Duration) {
	var at time.Time
	if d > 0 {
		at = time.Now().Add(d)
	}
	_ = http.NewResponseController(w).SetReadDeadline(at)
}
