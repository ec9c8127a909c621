package event

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"
)

func appendUUID(dst []byte, n protowire.Number, id uuid.UUID) []byte {
	dst = protowire.AppendTag(dst, n, protowire.BytesType)
	return protowire.AppendBytes(dst, id[:])
}

// appendTime appends nothing for the zero time, which received_at is before ingest.
func appendTime(dst []byte, n protowire.Number, t time.Time) []byte {
	if t.IsZero() {
		return dst
	}
	dst = protowire.AppendTag(dst, n, protowire.Fixed64Type)
	return protowire.AppendFixed64(dst, uint64(t.UnixMicro())) // two's complement is the encoding
}

func appendString(dst []byte, n protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	dst = protowire.AppendTag(dst, n, protowire.BytesType)
	return protowire.AppendString(dst, s)
}

func appendCounter(dst []byte, n protowire.Number, counter *int64) []byte {
	if counter == nil {
		return dst
	}
	dst = protowire.AppendTag(dst, n, protowire.VarintType)
	return protowire.AppendVarint(dst, uint64(*counter)) // two's complement is the encoding
}

func appendBool(dst []byte, n protowire.Number, b *bool) []byte {
	if b == nil {
		return dst
	}
	dst = protowire.AppendTag(dst, n, protowire.VarintType)
	return protowire.AppendVarint(dst, protowire.EncodeBool(*b))
}

func appendBytes(dst []byte, n protowire.Number, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	dst = protowire.AppendTag(dst, n, protowire.BytesType)
	return protowire.AppendBytes(dst, b)
}

// appendMessage writes a nested message without a second buffer: two bytes are
// kept free for its length, and the body moves only where the length needs
// another number of bytes.
func appendMessage(dst []byte, n protowire.Number, body func([]byte) []byte) []byte {
	const room = 2
	dst = protowire.AppendTag(dst, n, protowire.BytesType)
	start := len(dst)
	dst = body(append(dst, make([]byte, room)...))
	size := len(dst) - start - room
	need := protowire.SizeVarint(uint64(size))
	for len(dst) < start+need+size {
		dst = append(dst, 0)
	}
	copy(dst[start+need:start+need+size], dst[start+room:start+room+size])
	protowire.AppendVarint(dst[:start], uint64(size))
	return dst[:start+need+size]
}

// value is one field's content: bytes and text, which are the same, for the
// length-delimited, number else. text shares the memory of the whole message's
// text: a field that is kept costs no allocation of its own.
type value struct {
	bytes  []byte
	text   string
	number uint64
}

func (v value) uuid() (id uuid.UUID, err error) {
	if len(v.bytes) != len(id) {
		return id, fmt.Errorf("%w: id of %d bytes", errMalformed, len(v.bytes))
	}
	copy(id[:], v.bytes)
	return id, nil
}

func (v value) time() time.Time {
	return time.UnixMicro(int64(v.number)).UTC() // two's complement is the encoding
}

func (v value) counter() *int64 {
	n := int64(v.number) // as above
	return &n
}

func (v value) boolean() *bool {
	b := protowire.DecodeBool(v.number)
	return &b
}

// eachField calls f for every field of a message, of which text is the same as
// data; types it does not know it skips.
func eachField(data []byte, text string, f func(protowire.Number, value) error) error {
	for len(data) > 0 {
		n, typ, size := protowire.ConsumeTag(data)
		if size < 0 {
			return fmt.Errorf("%w: %w", errMalformed, protowire.ParseError(size))
		}
		data, text = data[size:], text[size:]
		var v value
		known := true
		switch typ {
		case protowire.BytesType:
			if v.bytes, size = protowire.ConsumeBytes(data); size >= 0 {
				v.text = text[size-len(v.bytes) : size]
			}
		case protowire.VarintType:
			v.number, size = protowire.ConsumeVarint(data)
		case protowire.Fixed64Type:
			v.number, size = protowire.ConsumeFixed64(data)
		default:
			known = false
			size = protowire.ConsumeFieldValue(n, typ, data)
		}
		if size < 0 {
			return fmt.Errorf("%w: field %d: %w", errMalformed, n, protowire.ParseError(size))
		}
		data, text = data[size:], text[size:]
		if !known {
			continue
		}
		if err := f(n, v); err != nil {
			return err
		}
	}
	return nil
}
