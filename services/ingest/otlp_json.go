package ingest

import (
	"encoding/hex"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// The JSON encoding of OTLP is protobuf's but for ids, which are hexadecimal
// where protobuf's JSON has base64. It is taken apart in place, as events are:
// nothing is built but servers' spans and the attributes that are read. A number
// may be written as a string.

// decodeTracesJSON reads an ExportTraceServiceRequest.
func decodeTracesJSON(body []byte) (traces, error) {
	t := traces{parents: map[string]string{}}
	text, err := document(body)
	if err != nil {
		return t, decodingError(err, "JSON")
	}
	process := 0
	err = eachMember(value(text), func(name string, v value) error {
		if name != "resourceSpans" {
			return nil
		}
		return eachElement(v, func(v value) error {
			process++
			return t.addResourceJSON(process, v)
		})
	})
	return t, decodingError(err, "JSON")
}

// eachMember calls f for the members of an object; of anything else there are none.
func eachMember(v value, f func(name string, v value) error) error {
	if v.Kind() != '{' {
		return nil
	}
	s := splitter{text: string(v)}
	s.enter()
	for s.more('}') {
		name := s.name()
		if err := f(name, s.value()); err != nil {
			return err
		}
	}
	return nil
}

// eachElement calls f for the elements of a list; of anything else there are none.
func eachElement(v value, f func(v value) error) error {
	if v.Kind() != '[' {
		return nil
	}
	s := splitter{text: string(v)}
	s.enter()
	for s.more(']') {
		if err := f(s.value()); err != nil {
			return err
		}
	}
	return nil
}

// memberOf returns a member of an object, "null" for none.
func memberOf(v value, name string) value {
	found := value("null")
	// The function never fails.
	_ = eachMember(v, func(n string, v value) error {
		if n == name {
			found = v
		}
		return nil
	})
	return found
}

func (t *traces) addResourceJSON(process int, v value) error {
	var of attributes
	of.addJSON(memberOf(memberOf(v, "resource"), "attributes"))
	return eachElement(memberOf(v, "scopeSpans"), func(v value) error {
		return eachElement(memberOf(v, "spans"), func(v value) error { return t.addSpanJSON(process, of, v) })
	})
}

func (t *traces) addSpanJSON(process int, resource attributes, v value) error {
	if err := t.count(); err != nil {
		return err
	}
	if v.Kind() != '{' {
		t.addServer(&span{broken: "span: must be a JSON object"})
		return nil
	}
	id, parent := hexBytes(memberOf(v, "spanId")), hexBytes(memberOf(v, "parentSpanId"))
	if kind := memberOf(v, "kind"); plainText(kind) != "SPAN_KIND_SERVER" && wholeOf(kind) != kindServer {
		t.addOther(string(id), string(parent))
		return nil
	}
	s := &t.scratch
	*s = span{process: process, resource: resource, id: id, parent: parent}
	s.readServerJSON(v)
	t.addServer(s)
	return nil
}

// readServerJSON reads what makes a request of a server's span.
func (s *span) readServerJSON(v value) {
	// The function never fails.
	_ = eachMember(v, func(name string, v value) error {
		switch name {
		case "traceId":
			if s.trace = hexBytes(v); s.trace == nil {
				s.broken = "traceId: must be hexadecimal"
			}
		case "spanId":
			if s.id == nil {
				s.broken = "spanId: must be hexadecimal"
			}
		case "name":
			s.name = mended([]byte(plainText(v)))
		case "startTimeUnixNano":
			s.start = s.nanoseconds(name, v)
		case "endTimeUnixNano":
			s.end = s.nanoseconds(name, v)
		case "attributes":
			s.attributes.addJSON(v)
		case "events":
			s.readEventsJSON(v)
		case "flags":
			const known, remote = 0x100, 0x200
			flags := wholeOf(v)
			s.local = flags&known != 0 && flags&remote == 0 && len(s.parent) > 0
		}
		return nil
	})
}

func (s *span) nanoseconds(name string, v value) uint64 {
	n, err := strconv.ParseUint(numeral(v), 10, 64)
	if err != nil {
		s.broken = name + ": must be a whole number of nanoseconds"
	}
	return n
}

func (s *span) readEventsJSON(v value) {
	// The function never fails.
	_ = eachElement(v, func(v value) error {
		if s.exception != "" || plainText(memberOf(v, "name")) != exceptionEvent {
			return nil
		}
		return eachElement(memberOf(v, "attributes"), func(v value) error {
			if plainText(memberOf(v, "key")) == exceptionType {
				s.exception, _ = valueText(memberOf(v, "value"), 0)
			}
			return nil
		})
	})
}

// addJSON reads a list of attributes: those that anybody reads and that can be read.
func (list *attributes) addJSON(v value) {
	// The function never fails.
	_ = eachElement(v, func(v value) error {
		key := plainText(memberOf(v, "key"))
		if !readAttributes[key] {
			return nil
		}
		if text, ok := valueText(memberOf(v, "value"), 0); ok {
			*list = append(*list, attribute{key, text})
		}
		return nil
	})
}

// valueText returns an AnyValue as text.
func valueText(v value, depth int) (text string, ok bool) {
	if depth > 1 {
		return "", false
	}
	// The function never fails.
	_ = eachMember(v, func(name string, v value) error {
		switch name {
		case "stringValue":
			if v.Kind() == '"' {
				text, ok = mended([]byte(plainText(v))), true
			}
		case "boolValue":
			text, ok = string(v), v.Kind() == 't' || v.Kind() == 'f'
		case "intValue":
			n, err := strconv.ParseInt(numeral(v), 10, 64)
			text, ok = strconv.FormatInt(n, 10), err == nil
		case "doubleValue":
			n, err := strconv.ParseFloat(numeral(v), 64)
			if err == nil {
				text, ok = doubleText(math.Float64bits(n))
			}
		case "arrayValue":
			first := true
			_ = eachElement(memberOf(v, "values"), func(v value) error {
				if first {
					first = false
					text, ok = valueText(v, depth+1)
				}
				return nil
			})
		}
		return nil
	})
	return text, ok
}

// doubleText returns a double as text, false for NaN and the infinities.
func doubleText(bits uint64) (string, bool) {
	n := math.Float64frombits(bits)
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return "", false
	}
	return strconv.FormatFloat(n, 'f', -1, 64), true
}

// plainText returns what a JSON string says, "" for anything else. What is no
// text in it is mended.
func plainText(v value) string {
	const longest = 6 * maxAttribute // of escapes
	if v.Kind() != '"' || len(v) > longest {
		return cutText(v)
	}
	text, _ := jsontext.AppendUnquote(nil, v) // mends what it complains of
	return string(text)
}

// cutText returns the beginning of a long JSON string without escapes, "" for
// anything else.
func cutText(v value) string {
	if v.Kind() != '"' {
		return ""
	}
	return string(v[1:maxAttribute])
}

// numeral returns a number as it is written, with or without quotes.
func numeral(v value) string {
	if v.Kind() == '"' {
		return string(v[1 : len(v)-1])
	}
	return string(v)
}

// wholeOf returns a whole number, 0 for anything else.
func wholeOf(v value) uint64 {
	n, err := strconv.ParseUint(numeral(v), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// hexBytes returns the bytes of an id, nil for what is none.
func hexBytes(v value) []byte {
	const longest = 2 + 32 // quotes and the digits of a trace id
	if v.Kind() != '"' || len(v) > longest || len(v) == 2 {
		return nil
	}
	b, err := hex.DecodeString(string(v[1 : len(v)-1]))
	if err != nil {
		return nil
	}
	return b
}
