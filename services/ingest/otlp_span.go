package ingest

import (
	"cmp"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/lakepulse/lakepulse/clients/go/rules"
	"github.com/lakepulse/lakepulse/pkg/event"
)

// spanIDs is the namespace of the ids of events made from spans: a span that an
// exporter sends again becomes the same event.
var spanIDs = uuid.MustParse("5f1d4c3e-6f0b-5a0e-9d7a-4b1f0c2d3e4f")

// source is what the spans of one resource have in common.
type source struct {
	app      string
	resource attributes
}

func newSource(r *resource.Resource) source {
	a := attributes(r.GetAttributes())
	return source{app: appName(a.text("service.name")), resource: a}
}

// appName makes an app's name of a service's: what a name may not hold becomes
// a dash. The namespace a service may have is no part of it.
func appName(service string) string {
	name := []byte(service)
	for i, c := range name {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && c != '.' && c != '_' && c != '-' {
			name[i] = '-'
		}
	}
	return strings.TrimLeft(string(name[:min(len(name), event.MaxApp)]), ".-_")
}

// performance returns the metric of a span, false for a span that is not a
// user-facing request to an HTTP server. Attribute names are those of the stable
// HTTP conventions, then those from before.
func (f source) performance(s *trace.Span) (event.Performance, bool) {
	if s.GetKind() != trace.Span_SPAN_KIND_SERVER {
		return event.Performance{}, false
	}
	a := attributes(s.GetAttributes())
	method := cmp.Or(a.text("http.request.method"), a.text("http.method"))
	if method == "" {
		return event.Performance{}, false // a server, but not of HTTP
	}
	if original := a.text("http.request.method_original"); method == "_OTHER" && original != "" {
		method = original
	}
	path := pathOf(a)
	if rules.Excluded(path) {
		return event.Performance{}, false
	}
	took := int64(s.GetEndTimeUnixNano() - s.GetStartTimeUnixNano()) // wraps to below zero when time ran backwards
	p := event.Performance{
		ID:        uuid.NewSHA1(spanIDs, append(append([]byte(nil), s.GetTraceId()...), s.GetSpanId()...)),
		Timestamp: time.Unix(0, int64(s.GetStartTimeUnixNano())), // a time beyond the range is refused as such
		App:       f.app,
		Endpoint:  cmp.Or(a.text("http.route"), rules.ReducePath(path), s.GetName()), Method: method,
		StatusCode: statusOf(a, s), ResponseTimeMS: float64(took) / 1e6,
		TraceID: hex.EncodeToString(s.GetTraceId()),
	}
	setAttributesPerformance(&p, f.resource, a)
	if p.IsError() {
		p.ErrorType = cut(cmp.Or(a.text("error.type"), exceptionOf(s)))
	}
	return p, true
}

func pathOf(a attributes) string {
	target := cmp.Or(a.text("url.path"), a.text("http.target"))
	path, _, _ := strings.Cut(target, "?")
	return path
}

// statusOf returns the status a span names. A server that failed before it had
// one is a 500; one that says nothing at all is refused for its status.
func statusOf(a attributes, s *trace.Span) int {
	for _, key := range []string{"http.response.status_code", "http.status_code"} {
		if text := a.text(key); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				return 0
			}
			return n
		}
	}
	if s.GetStatus().GetCode() == trace.Status_STATUS_CODE_ERROR {
		return 500
	}
	return 0
}

func exceptionOf(s *trace.Span) string {
	for _, e := range s.GetEvents() {
		if e.GetName() == "exception" {
			return attributes(e.GetAttributes()).text("exception.type")
		}
	}
	return ""
}

// attributes finds values by key. Lists are short: a scan is faster than a map.
type attributes []*common.KeyValue

// text returns the value as text, "" when it is not there.
func (list attributes) text(key string) string {
	for _, kv := range list {
		if kv.GetKey() == key {
			return asText(kv.GetValue())
		}
	}
	return ""
}

func asText(v *common.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *common.AnyValue_DoubleValue:
		return strconv.FormatFloat(v.DoubleValue, 'f', -1, 64)
	case *common.AnyValue_ArrayValue: // captured headers are lists
		if values := v.ArrayValue.GetValues(); len(values) > 0 {
			return asText(values[0])
		}
	}
	return ""
}

// cut shortens what an exporter has no way to shorten: losing the end of an
// instance's name is better than losing the request.
func cut(s string) string {
	if len(s) <= event.MaxText {
		return s
	}
	runes := []rune(s)
	return string(runes[:min(len(runes), event.MaxText)])
}
