package ingest

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

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
	f.Add([]byte(`{"events":[` + strings.Repeat(`{},`, 100_000) + `{}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var env envelope[event.Usage]
		var err error
		bounded(t, body, func() { env, err = decode(body, event.Usage{}, setUsage) })
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
		var env envelope[event.Performance]
		var err error
		bounded(t, body, func() { env, err = decode(body, blankPerformance(), setPerformance) })
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

func spansSurvive(t *testing.T, spans traces) {
	t.Helper()
	spans.markInner()
	for _, s := range spans.spans {
		if s.broken != "" {
			continue
		}
		p, ok := s.performance()
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

// bounded fails when decoding a body takes more than 32 times its memory, beside
// what any body takes.
func bounded(t *testing.T, body []byte, decode func()) {
	t.Helper()
	const fixed = 1 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	decode()
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > uint64(fixed+32*len(body)) {
		t.Fatalf("a body of %d bytes took %d bytes to decode", len(body), took)
	}
}

const oneSpan = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"spans":[{"traceId":"abababababababababababababababab","spanId":"0101010101010101","parentSpanId":"0202020202020202","kind":2,"flags":257,"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":1700000000005000000,"attributes":[{"key":"http.request.method","value":{"stringValue":"GET"}},{"key":"http.response.status_code","value":{"intValue":"200"}},{"key":"http.status_code","value":{"doubleValue":"NaN"}}],"events":[{"name":"exception","attributes":[{"key":"exception.type","value":{"stringValue":"E"}}]}]}]}]}]}`

func FuzzTracesJSON(f *testing.F) {
	f.Add([]byte(oneSpan))
	f.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[` + strings.Repeat(`{},`, 15_000) + `{}]}]}]}`))
	f.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[` + strings.Repeat(`{"kind":2,"attributes":[{}]},`, 15_000) + `{"kind":2}]}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var spans traces
		var err error
		bounded(t, body, func() { spans, err = decodeTracesJSON(body) })
		if err == nil {
			spansSurvive(t, spans)
		}
	})
}

func FuzzTracesProtobuf(f *testing.F) {
	f.Add(protobufOf(f, oneSpan))
	f.Add(emptySpans(5_000, 0))
	f.Add(emptySpans(5_000_000, 0))
	f.Add(emptySpans(15_000, kindServer))
	f.Add(wrapped(1, wrapped(2, bytes.Repeat(wrapped(2, append([]byte{6 << 3, kindServer}, wrapped(9, append(wrapped(1, []byte("http.method")), wrapped(2, wrapped(1, []byte("G")))...))...)), 15_000))))
	f.Fuzz(func(t *testing.T, body []byte) {
		var spans traces
		var err error
		bounded(t, body, func() { spans, err = decodeTraces(body) })
		if err == nil {
			spansSurvive(t, spans)
		}
	})
}

// protobufOf returns the protobuf of a request in OTLP's JSON. The library's JSON
// has base64 where OTLP has hexadecimal: ids come out longer, which no decoder minds.
func protobufOf(f *testing.F, text string) []byte {
	f.Helper()
	var req collector.ExportTraceServiceRequest
	if err := protojson.Unmarshal([]byte(text), &req); err != nil {
		f.Fatal(err)
	}
	data, err := proto.Marshal(&req)
	if err != nil {
		f.Fatal(err)
	}
	return data
}

// emptySpans returns a request of n spans that have a kind or nothing at all.
func emptySpans(n int, kind byte) []byte {
	one := []byte{2<<3 | 2, 0}
	if kind > 0 {
		one = []byte{2<<3 | 2, 2, 6 << 3, kind}
	}
	return wrapped(1, wrapped(2, bytes.Repeat(one, n)))
}

func wrapped(number protowire.Number, body []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), body)
}
