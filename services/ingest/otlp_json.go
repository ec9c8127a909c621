package ingest

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
)

// The JSON encoding of OTLP is protobuf's but for ids, which are hexadecimal
// where protobuf's JSON has base64: so protojson cannot read it, and these
// types do. A number may be written as a string.

type jsonRequest struct {
	ResourceSpans []struct {
		Resource struct {
			Attributes []jsonAttribute `json:"attributes"`
		} `json:"resource"`
		ScopeSpans []struct {
			Spans []jsonSpan `json:"spans"`
		} `json:"scopeSpans"`
	} `json:"resourceSpans"`
}

type jsonSpan struct {
	TraceID    string          `json:"traceId"`
	SpanID     string          `json:"spanId"`
	Name       string          `json:"name"`
	Kind       json.Number     `json:"kind"`
	Start      json.Number     `json:"startTimeUnixNano"`
	End        json.Number     `json:"endTimeUnixNano"`
	Attributes []jsonAttribute `json:"attributes"`
	Events     []struct {
		Name       string          `json:"name"`
		Attributes []jsonAttribute `json:"attributes"`
	} `json:"events"`
	Status struct {
		Code json.Number `json:"code"`
	} `json:"status"`
}

type jsonAttribute struct {
	Key   string    `json:"key"`
	Value jsonValue `json:"value"`
}

type jsonValue struct {
	String *string      `json:"stringValue"`
	Int    *json.Number `json:"intValue"`
	Double *float64     `json:"doubleValue"`
	Bool   *bool        `json:"boolValue"`
	Array  *struct {
		Values []jsonValue `json:"values"`
	} `json:"arrayValue"`
}

func decodeTracesJSON(body []byte) ([]*trace.ResourceSpans, error) {
	var req jsonRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, err
	}
	var out []*trace.ResourceSpans
	for _, rs := range req.ResourceSpans {
		group := &trace.ResourceSpans{Resource: &resource.Resource{Attributes: attributesOf(rs.Resource.Attributes)}}
		for _, scope := range rs.ScopeSpans {
			spans := &trace.ScopeSpans{}
			for i := range scope.Spans {
				span, err := scope.Spans[i].span()
				if err != nil {
					return nil, err
				}
				spans.Spans = append(spans.Spans, span)
			}
			group.ScopeSpans = append(group.ScopeSpans, spans)
		}
		out = append(out, group)
	}
	return out, nil
}

func (j *jsonSpan) span() (*trace.Span, error) {
	s := &trace.Span{Name: j.Name, Attributes: attributesOf(j.Attributes), Status: &trace.Status{}}
	var err error
	if s.TraceId, err = hex.DecodeString(j.TraceID); err != nil {
		return nil, fmt.Errorf("traceId: %w", err)
	}
	if s.SpanId, err = hex.DecodeString(j.SpanID); err != nil {
		return nil, fmt.Errorf("spanId: %w", err)
	}
	var kind, code uint64
	for _, n := range []struct {
		name string
		text json.Number
		to   *uint64
	}{{"kind", j.Kind, &kind}, {"status.code", j.Status.Code, &code},
		{"startTimeUnixNano", j.Start, &s.StartTimeUnixNano}, {"endTimeUnixNano", j.End, &s.EndTimeUnixNano}} {
		if n.text == "" {
			continue
		}
		if *n.to, err = strconv.ParseUint(n.text.String(), 10, 64); err != nil {
			return nil, fmt.Errorf("%s: %w", n.name, err)
		}
	}
	s.Kind, s.Status.Code = trace.Span_SpanKind(min(kind, 100)), trace.Status_StatusCode(min(code, 100))
	for _, e := range j.Events {
		s.Events = append(s.Events, &trace.Span_Event{Name: e.Name, Attributes: attributesOf(e.Attributes)})
	}
	return s, nil
}

func attributesOf(list []jsonAttribute) []*common.KeyValue {
	out := make([]*common.KeyValue, 0, len(list))
	for _, a := range list {
		if v := a.Value.value(); v != nil {
			out = append(out, &common.KeyValue{Key: a.Key, Value: v})
		}
	}
	return out
}

// value returns nil for kinds of values that no attribute we read has.
func (v *jsonValue) value() *common.AnyValue {
	switch {
	case v.String != nil:
		return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: *v.String}}
	case v.Int != nil:
		n, err := v.Int.Int64()
		if err != nil {
			return nil
		}
		return &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: n}}
	case v.Double != nil:
		return &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: *v.Double}}
	case v.Bool != nil:
		return &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: *v.Bool}}
	case v.Array != nil:
		list := &common.ArrayValue{}
		for i := range v.Array.Values {
			if item := v.Array.Values[i].value(); item != nil {
				list.Values = append(list.Values, item)
			}
		}
		return &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: list}}
	}
	return nil
}
