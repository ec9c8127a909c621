package pgbinary

import (
	"encoding/binary"
	"math"
	"time"
)

// What a stream of COPY begins and ends with: a signature, flags and the length
// of an extension; a row of -1 fields.
const (
	CopyHeader  = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	CopyTrailer = "\xff\xff"
)

// JSONBVersion is the byte that comes before the text of a jsonb.
const JSONBVersion = 1

// epoch is from where Postgres counts, in microseconds since 1970.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

// Micros is a time as Postgres counts it: microseconds since 2000, UTC.
func Micros(t time.Time) int64 { return t.UnixMicro() - epoch }

// Time is the time of [Micros], in UTC.
func Time(micros int64) time.Time { return time.UnixMicro(epoch + micros).UTC() }

// AppendRow begins a row of COPY; as many values follow.
func AppendRow(dst []byte, fields int) []byte {
	return binary.BigEndian.AppendUint16(dst, uint16(fields))
}

// AppendNull appends NULL.
func AppendNull(dst []byte) []byte { return appendLength(dst, -1) }

// AppendText appends a text; "" is a text, too.
func AppendText(dst []byte, s string) []byte { return append(appendLength(dst, len(s)), s...) }

// AppendUUID appends a uuid.
func AppendUUID(dst []byte, id [16]byte) []byte { return append(appendLength(dst, len(id)), id[:]...) }

// AppendTime appends a timestamptz, to the microsecond.
func AppendTime(dst []byte, t time.Time) []byte { return AppendInt8(dst, Micros(t)) }

// AppendInt2 appends a smallint.
func AppendInt2(dst []byte, n int16) []byte {
	return binary.BigEndian.AppendUint16(appendLength(dst, 2), uint16(n))
}

// AppendInt8 appends a bigint.
func AppendInt8(dst []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(appendLength(dst, 8), uint64(n))
}

// AppendFloat8 appends a double precision.
func AppendFloat8(dst []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(appendLength(dst, 8), math.Float64bits(f))
}

// AppendBool appends a boolean.
func AppendBool(dst []byte, b bool) []byte {
	dst = appendLength(dst, 1)
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// AppendJSONB appends a jsonb.
func AppendJSONB(dst, text []byte) []byte {
	return append(append(appendLength(dst, 1+len(text)), JSONBVersion), text...)
}

// AppendSized appends a value of which f appends the bytes.
func AppendSized(dst []byte, f func(dst []byte) []byte) []byte {
	at := len(dst)
	dst = f(append(dst, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

func appendLength(dst []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(n)) // -1 in two's complement
}
