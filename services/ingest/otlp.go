package ingest

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"strings"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
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

// traces is a decoded export request, and how to answer it.
type traces struct {
	spans    []*trace.ResourceSpans
	encoding string
}

// otlpRoutes returns the endpoints that speak OTLP. There are two paths because
// the Databricks Apps proxy lets tokens through under /api/ only.
func (s *Service) otlpRoutes() []httpapi.Route {
	var routes []httpapi.Route
	for _, path := range []string{"/v1/traces", "/api/v1/otlp/v1/traces"} {
		routes = append(routes, httpapi.Streamed[traces]{
			Method: http.MethodPost, Path: path, Access: httpapi.Authenticated, MaxInFlight: s.cfg.MaxInFlight,
			Decode: s.decodeTraces, Write: s.takeTraces,
		}.Route())
	}
	return routes
}

func (s *Service) decodeTraces(r *http.Request) (traces, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != typeProtobuf && kind != typeJSON {
		return traces{}, fault.New(fault.Invalid, "Content-Type: must be %s or %s", typeProtobuf, typeJSON).With("field", "Content-Type")
	}
	body, err := readBody(r, s.cfg.MaxBody)
	if err != nil {
		return traces{}, err
	}
	if kind == typeJSON {
		spans, err := decodeTracesJSON(body)
		if err != nil {
			return traces{}, fault.Wrap(err, fault.Invalid, "body: must be an OTLP ExportTraceServiceRequest in JSON").With("field", "body")
		}
		return traces{spans: spans, encoding: kind}, nil
	}
	var req collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &req); err != nil {
		return traces{}, fault.Wrap(err, fault.Invalid, "body: must be an OTLP ExportTraceServiceRequest in protobuf").With("field", "body")
	}
	return traces{spans: req.GetResourceSpans(), encoding: kind}, nil
}

// takeTraces puts the HTTP server spans onto the log. What is refused is counted
// and named in the partial success, which tells the exporter not to send it again.
func (s *Service) takeTraces(w http.ResponseWriter, r *http.Request, caller auth.Caller, req traces) error {
	if err := s.maySend(caller, event.KindPerformance); err != nil {
		return err
	}
	in := newIntake(s, event.KindPerformance, 0)
	ignored := 0
	var reasons []string
	for _, rs := range req.spans {
		from := newSource(rs.GetResource())
		for _, scope := range rs.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				p, ok := from.performance(span)
				if !ok {
					ignored++
					continue
				}
				if err := s.keepSpan(in, caller, p); err != nil && len(reasons) < 5 {
					reasons = append(reasons, fmt.Sprintf("span %x: %v", span.GetSpanId(), err))
				}
			}
		}
	}
	s.metrics.ignoredSpans.Add(float64(ignored))
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
	var data []byte
	var err error
	if encoding == typeJSON {
		data, err = protojson.Marshal(resp)
	} else {
		data, err = proto.Marshal(resp)
	}
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
