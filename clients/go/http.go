package lakepulse

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/lakepulse/lakepulse/clients/go/rules"
)

// The paths of ingest's HTTP contract that the client uses.
const (
	pathPerformance = "/api/v1/metrics/performance-events"
	pathUsage       = "/api/v1/metrics/usage-events"
	pathUsageCount  = "/api/v1/metrics/usage/count"
)

const (
	headerKey = "X-Lakepulse-Key"
	maxAnswer = 1 << 20
)

// newHTTPClient returns a client that follows no redirects: a gateway sends
// those it does not know to a sign-in page, and that page's 200 is no answer.
func newHTTPClient(given *http.Client) *http.Client {
	if given != nil {
		own := *given
		own.CheckRedirect = noRedirect
		return &own
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if def, ok := http.DefaultTransport.(*http.Transport); ok { // an app may have replaced it
		transport = def.Clone()
	}
	transport.MaxIdleConnsPerHost = 8
	return &http.Client{Transport: transport, CheckRedirect: noRedirect}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// authenticate proves to ingest who we are.
func (c *Config) authenticate(r *http.Request) error {
	if c.Key != "" {
		r.Header.Set(headerKey, c.Key)
	}
	if c.Authorize != nil {
		if err := c.Authorize(r); err != nil {
			return fmt.Errorf("authorize: %w", err)
		}
	}
	return nil
}

// httpSink posts batches to ingest. It keeps its buffers between batches, so it
// serves one goroutine.
type httpSink struct {
	cfg    *Config
	client *http.Client
	plain  []byte
	packed bytes.Buffer
	gzip   *gzip.Writer
}

func newHTTPSink(cfg *Config, client *http.Client) *httpSink {
	return &httpSink{cfg: cfg, client: client}
}

func (s *httpSink) Send(ctx context.Context, b *Batch, dropped int64) (Result, error) {
	path := pathPerformance
	if b.Kind == KindUsage {
		path = pathUsage
	}
	s.plain = appendBatch(s.plain[:0], b, dropped)
	// A copy for each attempt: the transport may still read it after it has answered.
	body, encoding, err := s.pack()
	if err != nil {
		return Result{}, &Failure{Class: Invalid, Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cfg.URL+path, bytes.NewReader(body))
	if err != nil {
		return Result{}, &Failure{Class: Invalid, Err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	if err := s.cfg.authenticate(req); err != nil {
		return Result{}, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end, or given up
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil && resp.StatusCode != http.StatusAccepted {
		return Result{}, err
	}
	return readAnswer(resp, answer, b.Len(), s.cfg.Clock())
}

// pack returns the body in memory of its own, compressed unless that is off.
func (s *httpSink) pack() (body []byte, encoding string, err error) {
	if s.cfg.NoGzip {
		return bytes.Clone(s.plain), "", nil
	}
	s.packed.Reset()
	if s.gzip == nil {
		if s.gzip, err = gzip.NewWriterLevel(&s.packed, gzip.BestSpeed); err != nil {
			return nil, "", err
		}
	} else {
		s.gzip.Reset(&s.packed)
	}
	if _, err = s.gzip.Write(s.plain); err != nil {
		return nil, "", err
	}
	if err = s.gzip.Close(); err != nil {
		return nil, "", err
	}
	return bytes.Clone(s.packed.Bytes()), "gzip", nil
}

type answerBody struct {
	EventsReceived *int        `json:"events_received"`
	Rejected       []Rejection `json:"rejected"`
	ServerTime     time.Time   `json:"server_time"`
	Message        string      `json:"message"`
}

// readAnswer turns ingest's answer to n events into a Result or a Failure. Only
// 202 is acceptance: a 200 comes from something else that answers there.
func readAnswer(resp *http.Response, body []byte, n int, now time.Time) (Result, error) {
	var a answerBody
	parseErr := json.Unmarshal(body, &a) // its failure is judged by status below
	res := Result{Rejected: a.Rejected, ServerTime: a.ServerTime}
	if resp.StatusCode == http.StatusAccepted {
		res.Accepted = n - len(a.Rejected)
		if parseErr == nil && a.EventsReceived != nil {
			res.Accepted = *a.EventsReceived
		}
		return res, nil
	}
	if resp.StatusCode == http.StatusBadRequest && parseErr == nil && len(a.Rejected) > 0 {
		return res, nil // every event refused, each for its reason
	}
	f := &Failure{Class: classOf(resp.StatusCode), RetryAfter: retryAfter(resp.Header, now)}
	if parseErr == nil && a.Message != "" {
		f.Err = fmt.Errorf("status %d: %s", resp.StatusCode, rules.CleanText(a.Message, maxText))
	} else {
		f.Err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return Result{}, f
}

func classOf(status int) Class {
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return TooLarge
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity,
		status == http.StatusUnsupportedMediaType:
		return Invalid
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly,
		status == http.StatusTooManyRequests, status >= 500:
		return Temporary
	}
	return Denied
}

// retryAfter reads the header as seconds or as a date; 0 when there is none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	if s, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return max(at.Sub(now), 0)
}
