package lakepulse

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lakepulse/lakepulse/clients/go/rules"
)

// The defaults of RelayConfig.
const (
	DefaultRelayTimeout     = 5 * time.Second
	DefaultRelayConcurrency = 8
)

const (
	maxRelayBody    = 1 << 20
	relayRetryAfter = 5 // seconds
)

// RelayConfig is what Relay can be told. The zero value of each field means its default.
type RelayConfig struct {
	// User returns the signed-in user, "" for nobody. It must say only what is
	// proven. Default: Config.User, else the header X-Forwarded-Email, else
	// X-Forwarded-User, which the Databricks Apps proxy sets and does not let
	// through from outside.
	User func(*http.Request) string
	// Timeout bounds one request in all, the wait for its turn included.
	Timeout time.Duration
	// Concurrency is how many requests are passed on at the same time.
	Concurrency int
}

// Relay takes the browser tracker's batches and its count question on the app's
// own origin and passes them on to ingest under the app's key, with the
// signed-in user. Mount it where the tracker looks:
//
//	mux.Handle("/api/v1/metrics/", lp.Relay(lakepulse.RelayConfig{}))
//
// Whom a browser claims to be is ignored, in every spelling. Requests that
// another site made the browser send are refused. The answer is ingest's; when
// ingest cannot be reached in time, or refuses the app itself, it is 503 with
// Retry-After, and the tracker keeps the batch. Requests to Relay are not recorded.
func (c *Client) Relay(cfg RelayConfig) http.Handler {
	r := &relay{client: c, timeout: cmp.Or(cfg.Timeout, DefaultRelayTimeout), user: cfg.User}
	r.turns = make(chan struct{}, max(cmp.Or(cfg.Concurrency, DefaultRelayConcurrency), 1))
	if c == nil || c.off || c.http == nil {
		r.client = nil
		return r
	}
	if r.user == nil {
		r.user = c.cfg.User
	}
	if r.user == nil {
		r.user = forwardedUser
	}
	return r
}

type relay struct {
	client  *Client // nil when there is nobody to pass on to
	user    func(*http.Request) string
	timeout time.Duration
	turns   chan struct{}
}

// refusal is an answer of the relay's own, in the form of ingest's errors.
type refusal struct {
	Error      string         `json:"error"`
	Message    string         `json:"message"`
	Status     int            `json:"status_code"`
	Detail     string         `json:"detail,omitempty"`
	MaxBatch   int            `json:"max_batch_size,omitempty"`
	Received   int            `json:"received,omitempty"`
	MaxBody    int            `json:"max_body_bytes,omitempty"`
	retryAfter int            // seconds
	Details    map[string]any `json:"details,omitempty"`
}

func (r *relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	Unrecorded(w) // the tracker's own traffic is no use of the app
	var method, path string
	switch {
	case strings.HasSuffix(req.URL.Path, pathUsage):
		method, path = http.MethodPost, pathUsage
	case strings.HasSuffix(req.URL.Path, pathUsageCount):
		method, path = http.MethodGet, pathUsageCount
	default:
		refuse(w, &refusal{Error: "not_found", Status: http.StatusNotFound, Message: "there is no such path here"})
		return
	}
	if req.Method != method {
		w.Header().Set("Allow", method)
		refuse(w, &refusal{Error: "method_not_allowed", Status: http.StatusMethodNotAllowed, Message: "use " + method})
		return
	}
	if r.client == nil {
		refuse(w, unavailable("collection is off"))
		return
	}
	if fromAnotherSite(req) {
		refuse(w, &refusal{Error: "forbidden", Status: http.StatusForbidden, Message: "only pages of this app may send here"})
		return
	}
	user := r.signedIn(req)
	if user == "" {
		refuse(w, &refusal{Error: "unauthenticated", Status: http.StatusUnauthorized, Message: "nobody is signed in"})
		return
	}
	ctx, cancel := context.WithTimeout(req.Context(), r.timeout)
	defer cancel()
	select {
	case r.turns <- struct{}{}: // before the body is read: who waits holds no memory
		defer func() { <-r.turns }()
	case <-ctx.Done():
		refuse(w, unavailable("too many requests at once"))
		return
	}
	out, no := r.prepare(ctx, w, req, path, user)
	if no != nil {
		refuse(w, no)
		return
	}
	r.pass(w, out)
}

// signedIn returns the proven user, or the configured one of a developer's desk.
func (r *relay) signedIn(req *http.Request) string {
	user := rules.CleanText(bounded(r.client.ask(r.user, req)), maxText)
	return cmp.Or(user, r.client.cfg.DevUser)
}

// prepare makes ingest's request of the browser's.
func (r *relay) prepare(
	ctx context.Context, w http.ResponseWriter, req *http.Request, path, user string,
) (*http.Request, *refusal) {
	cfg := &r.client.cfg
	target := cfg.URL + path
	var body io.Reader
	if path == pathUsageCount {
		query := req.URL.Query()
		query.Del("user_id")
		if cfg.Key != "" || cfg.Authorize != nil {
			query.Set("user_id", user)
		}
		target += "?" + query.Encode()
	} else {
		raw, no := r.read(w, req)
		if no != nil {
			return nil, no
		}
		if raw, no = rewriteUsage(raw, user, cfg.App); no != nil {
			return nil, no
		}
		body = bytes.NewReader(raw)
	}
	out, err := http.NewRequestWithContext(ctx, req.Method, target, body) //nolint:gosec // the host is Config.URL's
	if err != nil {                                                       // the URL was checked by New
		return nil, unavailable("the collector cannot be asked")
	}
	if body != nil {
		out.Header.Set("Content-Type", "application/json")
	}
	if id := header(req.Header, headerCorrelation); id != "" {
		out.Header.Set(headerCorrelation, id)
	}
	if cfg.Key == "" && cfg.Authorize == nil {
		out.Header.Set(headerEmail, user) // a collector in dev mode knows callers by it
	}
	if err := cfg.authenticate(out); err != nil {
		r.client.notices.say("relay", "the relay could not authenticate", "error", err)
		return nil, unavailable("the collector cannot be asked")
	}
	return out, nil
}

// read takes the body within bounds of size and time.
func (r *relay) read(w http.ResponseWriter, req *http.Request) ([]byte, *refusal) {
	if e := req.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, &refusal{
			Error: "unsupported_media", Status: http.StatusUnsupportedMediaType, Message: "send the body without Content-Encoding",
		}
	}
	control := http.NewResponseController(w)
	// A slow sender must give its turn back. Where the writer knows no deadlines
	// (tests, some frameworks), the server's own bounds hold.
	if control.SetReadDeadline(time.Now().Add(r.timeout)) == nil {
		defer func() { _ = control.SetReadDeadline(time.Time{}) }() // as above
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxRelayBody))
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		const message = "Body exceeds maximum of 1 MiB"
		return nil, &refusal{
			Error: "payload_too_large", Status: http.StatusRequestEntityTooLarge, Message: message, Detail: message,
			MaxBody: maxRelayBody,
		}
	}
	if err != nil {
		return nil, invalid("body", "the body could not be read")
	}
	return raw, nil
}

// pass asks ingest and gives its answer to the browser.
func (r *relay) pass(w http.ResponseWriter, out *http.Request) {
	resp, err := r.client.http.Do(out) //nolint:gosec // as above
	if err != nil {
		r.client.notices.say("relay", "the relay got no answer", "error", err)
		refuse(w, unavailable("the collector does not answer"))
		return
	}
	defer func() { _ = resp.Body.Close() }() // read to its end, or given up
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		refuse(w, unavailable("the collector's answer broke off"))
		return
	}
	if classOf(resp.StatusCode) == Denied && resp.StatusCode >= 300 {
		// It is the app that was refused: signing in again would not help the browser.
		r.client.notices.say("relay denied", "ingest refused the relay", "status", resp.StatusCode)
		refuse(w, unavailable("the collector refuses this app"))
		return
	}
	if !json.Valid(answer) { // a page of a gateway's: the app's origin must not show it as its own
		refuse(w, unavailable("the collector's answer makes no sense"))
		return
	}
	for _, key := range []string{"Retry-After", headerCorrelation} {
		if v := resp.Header.Get(key); v != "" {
			w.Header().Set(key, v)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer) // the browser may have left
}

func unavailable(message string) *refusal {
	return &refusal{
		Error: "service_unavailable", Status: http.StatusServiceUnavailable, Message: message, retryAfter: relayRetryAfter,
	}
}

func invalid(field, message string) *refusal {
	return &refusal{
		Error: "invalid_request", Status: http.StatusBadRequest, Message: message, Details: map[string]any{"field": field},
	}
}

func refuse(w http.ResponseWriter, no *refusal) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if no.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(no.retryAfter))
	}
	w.WriteHeader(no.Status)
	_ = json.NewEncoder(w).Encode(no) // the browser may have left
}
