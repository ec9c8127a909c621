package ingest

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// The fuzz targets hold that whatever bytes come from outside, what a decoder
// lets through can be stored: it is valid, and survives the log's encoding.

var fuzzWindow = event.Window{From: time.Unix(0, 0), To: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}

func survives(t *testing.T, b event.Batch) {
	t.Helper()
	got, err := event.Decode(event.SchemaVersion, b.Kind, b.Encode(nil))
	if err != nil {
		t.Fatalf("what was accepted cannot be read back: %v", err)
	}
	if got.Len() != b.Len() {
		t.Fatalf("%d events became %d", b.Len(), got.Len())
	}
}

func FuzzUsageBatch(f *testing.F) {
	f.Add([]byte(`{"events":[{"id":"018f0000-0000-7000-8000-000000000001","event_type":"page_view","timestamp":"2026-01-01T00:00:00Z","user_id":"u","success":true,"seq":1,"metadata":{"a":[1,"\u00e9",null]}}],"dropped":2}`))
	f.Add([]byte(`{"events":[{"event_type":"\ud800"},7,null,{"metadata":{"x":"\u0000"}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		env, err := decode(body, event.Usage{}, setUsage)
		if err != nil {
			return
		}
		for i, u := range env.events {
			u.App = "fuzz"
			u.ID = event.NewID()
			u.Normalize()
			if env.faults[i] == nil && u.Validate(fuzzWindow) == nil {
				survives(t, event.Batch{App: "fuzz", Kind: event.KindUsage, Usage: []event.Usage{u}})
			}
		}
	})
}

func FuzzPerformanceBatch(f *testing.F) {
	f.Add([]byte(`{"events":[{"endpoint":"/a/{id}","method":"get","status_code":200,"response_time_ms":1.5e1,"timestamp":"2026-01-01T00:00:00+01:00","seq":null}]}`))
	f.Add([]byte(`{"events":[{"status_code":1e2,"response_time_ms":-0,"timestamp":5}],"events":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		env, err := decode(body, blankPerformance(), setPerformance)
		if err != nil {
			return
		}
		for i, p := range env.events {
			p.App = "fuzz"
			p.ID = event.NewID()
			p.Normalize()
			if env.faults[i] == nil && p.Validate(fuzzWindow) == nil {
				survives(t, event.Batch{App: "fuzz", Kind: event.KindPerformance, Performance: []event.Performance{p}})
			}
		}
	})
}

func spansSurvive(t *testing.T, groups []*trace.ResourceSpans) {
	t.Helper()
	for _, rs := range groups {
		from := newSource(rs.GetResource())
		for _, scope := range rs.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				p, ok := from.performance(span)
				if !ok {
					continue
				}
				p.App = "fuzz"
				p.Normalize()
				if p.Validate(fuzzWindow) == nil {
					survives(t, event.Batch{App: "fuzz", Kind: event.KindPerformance, Performance: []event.Performance{p}})
				}
			}
		}
	}
}

func FuzzTracesJSON(f *testing.F) {
	f.Add([]byte(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"spans":[{"traceId":"abababababababababababababababab","spanId":"0101010101010101","kind":2,"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":1700000000005000000,"attributes":[{"key":"http.request.method","value":{"stringValue":"GET"}},{"key":"http.response.status_code","value":{"intValue":"200"}}]}]}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if groups, err := decodeTracesJSON(body); err == nil {
			spansSurvive(t, groups)
		}
	})
}

func FuzzTracesProtobuf(f *testing.F) {
	seed, err := decodeTracesJSON([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"ab","spanId":"01","kind":2,"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"1700000000005000000","attributes":[{"key":"http.method","value":{"stringValue":"GET"}},{"key":"http.status_code","value":{"doubleValue":200}},{"key":"x","value":{"arrayValue":{"values":[{"boolValue":true}]}}}]}]}]}]}`))
	if err != nil {
		f.Fatal(err)
	}
	data, err := proto.Marshal(&collector.ExportTraceServiceRequest{ResourceSpans: seed})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, body []byte) {
		var req collector.ExportTraceServiceRequest
		if proto.Unmarshal(body, &req) == nil {
			spansSurvive(t, req.GetResourceSpans())
		}
	})
}
