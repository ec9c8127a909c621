package ingest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/lakepulse/lakepulse/pkg/fault"
)

// The protobuf encoding is read field by field: a few bytes can stand for any
// number of empty spans or attributes, and a decoder that builds all of them
// takes hundreds of times the memory of the body. Here only servers' spans are
// built, and of attributes only those that are read. Texts that are no UTF-8 are
// mended or skipped, and a span that cannot be read costs no other.

// field is one field of a message: bytes of the length-delimited, number else.
type field struct {
	number protowire.Number
	bytes  []byte
	value  uint64
}

var errWire = errors.New("malformed protobuf")

// eachField calls f for the fields of a message.
func eachField(data []byte, f func(field) error) error {
	for len(data) > 0 {
		number, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return errWire
		}
		data = data[n:]
		v := field{number: number}
		switch typ {
		case protowire.BytesType:
			v.bytes, n = protowire.ConsumeBytes(data)
		case protowire.VarintType:
			v.value, n = protowire.ConsumeVarint(data)
		case protowire.Fixed64Type:
			v.value, n = protowire.ConsumeFixed64(data)
		case protowire.Fixed32Type:
			var short uint32
			short, n = protowire.ConsumeFixed32(data)
			v.value = uint64(short)
		case protowire.StartGroupType, protowire.EndGroupType:
			n = protowire.ConsumeFieldValue(number, typ, data)
		default:
			n = -1
		}
		if n < 0 {
			return errWire
		}
		data = data[n:]
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

// decodeTraces reads an ExportTraceServiceRequest.
func decodeTraces(body []byte) (traces, error) {
	t := traces{parents: map[string]string{}}
	process := 0
	err := eachField(body, func(f field) error {
		if f.number != 1 || f.bytes == nil {
			return nil
		}
		process++
		return t.addResource(process, f.bytes)
	})
	return t, decodingError(err, "protobuf")
}

// decodingError gives an error of decoding its code.
func decodingError(err error, encoding string) error {
	if err == nil {
		return nil
	}
	if own, ok := errors.AsType[*fault.Error](err); ok {
		return own
	}
	return fault.Wrap(err, fault.Invalid, "body: must be an OTLP ExportTraceServiceRequest in %s", encoding).With("field", "body")
}

// addResource reads the spans of one resource. The resource may come behind them.
func (t *traces) addResource(process int, data []byte) error {
	var of attributes
	err := eachField(data, func(f field) error {
		if f.number != 1 {
			return nil
		}
		return eachField(f.bytes, func(f field) error {
			if f.number == 1 {
				of.add(f.bytes)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return eachField(data, func(f field) error {
		if f.number != 2 {
			return nil
		}
		return eachField(f.bytes, func(f field) error {
			if f.number != 2 {
				return nil
			}
			return t.addSpan(process, of, f.bytes)
		})
	})
}

// count counts a span and refuses the request once there are too many.
func (t *traces) count() error {
	if t.total++; t.total > maxSpans {
		message := fmt.Sprintf("Request exceeds maximum of %d spans", maxSpans)
		return fault.New(fault.TooLarge, "%s", message).With("+detail", message).With("max_spans", maxSpans)
	}
	return nil
}

func (t *traces) addSpan(process int, resource attributes, data []byte) error {
	if err := t.count(); err != nil {
		return err
	}
	var trace, id, parent []byte
	var kind uint64
	err := eachField(data, func(f field) error { // ids and kind: most spans are no servers'
		switch f.number {
		case 1:
			trace = f.bytes
		case 2:
			id = f.bytes
		case 4:
			parent = f.bytes
		case 6:
			kind = f.value
		}
		return nil
	})
	if err == nil && kind != kindServer {
		t.addOther(string(id), string(parent))
		return nil
	}
	const longest = 64 // bytes; OTLP's ids have 16 and 8
	s := &t.scratch
	*s = span{process: process, resource: resource, trace: trace, id: id, parent: parent}
	if len(trace) > longest || len(id) > longest || len(parent) > longest {
		s.trace, s.id, s.broken = nil, nil, "traceId and spanId: must be of 16 and 8 bytes"
	} else if err != nil || s.readServer(data) != nil {
		s.broken = "span: must be valid protobuf"
	}
	t.addServer(s)
	return nil
}

// addServer keeps a server's span, unless it is none of HTTP.
func (t *traces) addServer(s *span) {
	if s.broken == "" && s.method() == "" {
		t.addOther(string(s.id), string(s.parent))
		return
	}
	kept := *s
	t.spans = append(t.spans, &kept)
}

// addOther notes a span that is no HTTP server's.
func (t *traces) addOther(id, parent string) {
	t.ignored++
	const longest = 8 // bytes of an id; others are nobody's parent
	if id != "" && len(id) <= longest && len(parent) <= longest {
		t.parents[id] = parent
	}
}

// readServer reads what makes a request of a server's span.
func (s *span) readServer(data []byte) error {
	return eachField(data, func(f field) error {
		switch f.number {
		case 5:
			s.name = mended(f.bytes)
		case 7:
			s.start = f.value
		case 8:
			s.end = f.value
		case 9:
			s.attributes.add(f.bytes)
		case 11:
			return s.readEvent(f.bytes)
		case 16:
			const known, remote = 0x100, 0x200
			s.local = f.value&known != 0 && f.value&remote == 0 && len(s.parent) > 0
		}
		return nil
	})
}

func (s *span) readEvent(data []byte) error {
	name := ""
	if err := eachField(data, func(f field) error {
		if f.number == 2 && len(f.bytes) == len(exceptionEvent) {
			name = string(f.bytes)
		}
		return nil
	}); err != nil || name != exceptionEvent || s.exception != "" {
		return err
	}
	return eachField(data, func(f field) error {
		if f.number != 3 {
			return nil
		}
		if _, value, ok := readAttribute(f.bytes, func(key string) bool { return key == exceptionType }); ok && s.exception == "" {
			s.exception = value
		}
		return nil
	})
}

// add reads an attribute, unless nobody reads it or it cannot be read.
func (list *attributes) add(data []byte) {
	if key, value, ok := readAttribute(data, func(key string) bool { return readAttributes[key] }); ok {
		*list = append(*list, attribute{key, value})
	}
}

// readAttribute reads a KeyValue whose key is wanted. One that is malformed is
// not there: nobody could say what it means.
func readAttribute(data []byte, wanted func(string) bool) (key, value string, ok bool) {
	const longest = 64 // bytes of a key that anybody reads
	var raw []byte
	err := eachField(data, func(f field) error {
		switch f.number {
		case 1:
			if len(f.bytes) <= longest {
				key = string(f.bytes)
			}
		case 2:
			raw = f.bytes
		}
		return nil
	})
	if err != nil || !wanted(key) {
		return "", "", false
	}
	value, ok = readValue(raw, 0)
	return key, value, ok
}

// readValue returns an AnyValue as text.
func readValue(data []byte, depth int) (text string, ok bool) {
	if depth > 1 { // captured headers are lists of texts; nothing we read is deeper
		return "", false
	}
	err := eachField(data, func(f field) error {
		switch f.number {
		case 1:
			text, ok = mended(f.bytes), true
		case 2:
			text, ok = strconv.FormatBool(f.value != 0), true
		case 3:
			text, ok = strconv.FormatInt(int64(f.value), 10), true // two's complement is the encoding
		case 4:
			text, ok = doubleText(f.value)
		case 5:
			text, ok = firstOf(f.bytes, depth)
		}
		return nil
	})
	return text, ok && err == nil
}

// firstOf returns the first value of a list.
func firstOf(data []byte, depth int) (text string, ok bool) {
	seen := false
	err := eachField(data, func(f field) error {
		if f.number == 1 && !seen {
			seen = true
			text, ok = readValue(f.bytes, depth+1)
		}
		return nil
	})
	return text, ok && err == nil
}

// mended returns bytes as text that can be stored: the first of them, with the
// replacement character for what is no UTF-8.
func mended(b []byte) string {
	b = b[:min(len(b), maxAttribute)]
	s := strings.ToValidUTF8(string(b), "\uFFFD")
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	return s
}
