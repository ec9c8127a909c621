package ingest

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"strings"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
)

// OTLP/HTTP: spans of HTTP servers become performance metrics, others are
// accepted and ignored. See the OpenTelemetry protocol specification 1.x.

const (
	typeProtobuf = "application/x-protobuf"
	typeJSON     = "application/json"
)

// otlpPrefixes are where OTLP's own paths begin. The second is there because the
// Databricks Apps proxy lets tokens through under /api/ only.
var otlpPrefixes = []string{"", "/api/v1/otlp"}

// traces is a decoded export request, and how to answer it.
type traces struct {
	spans    []*span           // of HTTP servers
	parents  map[string]string // of other spans: id to parent's id
	total    int               // spans of any kind
	ignored  int               // spans that are no requests
	scratch  span              // the span being read; most are not kept
	encoding string
}

// otlpRoutes returns the endpoints that speak OTLP.
func (s *Service) otlpRoutes() []httpapi.Route {
	var routes []httpapi.Route
	allow := func(caller auth.Caller) error { return s.maySend(caller, event.KindPerformance) }
	for _, prefix := range otlpPrefixes {
		routes = append(routes, httpapi.Streamed[traces]{
			Method: http.MethodPost, Path: prefix + "/v1/traces", Access: httpapi.Authenticated, Allow: allow,
			Gate: s.gate, Large: s.large, BodyTimeout: s.cfg.BodyTimeout, Decode: s.decodeTraces, Write: s.takeTraces,
		}.Route())
		for _, signal := range unusedSignals {
			routes = append(routes, httpapi.Streamed[unused]{
				Method: http.MethodPost, Path: prefix + signal.path, Access: httpapi.Authenticated, Allow: allow,
				Gate: s.gate, Large: s.large, BodyTimeout: s.cfg.BodyTimeout, Decode: s.decodeUnused(signal), Write: s.ignoreSignal,
			}.Route())
		}
	}
	return routes
}

// encodingOf returns the encoding of an OTLP request.
func encodingOf(r *http.Request) (string, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != typeProtobuf && kind != typeJSON {
		return "", fault.New(fault.Invalid, "Content-Type: must be %s or %s", typeProtobuf, typeJSON).With("field", "Content-Type")
	}
	return kind, nil
}

func (s *Service) decodeTraces(r *http.Request) (traces, error) {
	kind, err := encodingOf(r)
	if err != nil {
		return traces{}, err
	}
	body, err := s.readBody(r)
	if err != nil {
		return traces{}, err
	}
	decode := decodeTraces
	if kind == typeJSON {
		decode = decodeTracesJSON
	}
	t, err := decode(body)
	t.encoding = kind
	return t, err
}

// takeTraces puts the HTTP server spans onto the log. What is refused is counted
// and named in the partial success, which tells the exporter not to send it again.
func (s *Service) takeTraces(w http.ResponseWriter, r *http.Request, caller auth.Caller, req traces) error {
	const shown = 5 // reasons; a bad exporter has the same for all spans
	in := newIntake(s, event.KindPerformance, 0)
	s.ledger.use(caller.KeyID, in.received)
	var reasons []string
	refuse := func(sp *span, reason string) {
		if len(reasons) < shown {
			reasons = append(reasons, fmt.Sprintf("span %x: %s", sp.id, reason))
		}
	}
	req.markInner()
	for i, sp := range req.spans {
		if sp.broken != "" {
			in.refuse(i, "", "", &event.FieldError{Field: "span", Reason: sp.broken})
			refuse(sp, sp.broken)
			continue
		}
		p, ok := sp.performance()
		if !ok || sp.inner {
			req.ignored++
			continue
		}
		if caller.App != "" && unnamed(p.App) {
			p.App = caller.App // an SDK that was not told its service's name
		}
		if err := s.keepSpan(in, caller, p); err != nil {
			refuse(sp, err.Error())
		}
	}
	s.metrics.ignoredSpans.Add(float64(req.ignored))
	refused := len(in.rejected)
	if err := in.settle(r.Context()); err != nil {
		return err
	}
	return answerTraces(w, req.encoding, refused, strings.Join(reasons, "; "))
}

func (s *Service) keepSpan(in *intake, caller auth.Caller, p event.Performance) error {
	if err := in.check(caller, &p, nil); err != nil {
		in.refuse(len(in.rejected), p.ID.String(), p.App, err)
		return err
	}
	b := in.batch(p.App)
	b.Performance = append(b.Performance, p)
	return nil
}

func answerTraces(w http.ResponseWriter, encoding string, refused int, reasons string) error {
	resp := &collector.ExportTraceServiceResponse{}
	if refused > 0 {
		resp.PartialSuccess = &collector.ExportTracePartialSuccess{RejectedSpans: int64(refused), ErrorMessage: reasons}
	}
	return answerOTLP(w, encoding, resp)
}

func answerOTLP(w http.ResponseWriter, encoding string, resp proto.Message) error {
	marshal := proto.Marshal
	if encoding == typeJSON {
		marshal = protojson.Marshal
	}
	data, err := marshal(resp)
	if err != nil {
		return fmt.Errorf("encode OTLP response: %w", err)
	}
	w.Header().Set("Content-Type", encoding)
	w.WriteHeader(http.StatusOK)
	if _, err := w.Write(data); err != nil {
		return httpapi.ClientGone(err)
	}
	return nil
}

// settle publishes what is kept and counts it, without an answer of our own.
func (in *intake) settle(ctx context.Context) error {
	if len(in.batches) == 0 {
		in.countRefused()
		return nil
	}
	_, err := in.finish(ctx)
	return err
}
