package rawstore

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/google/uuid"
)

// column is values in Postgres' binary format, one after the other: an array,
// the parameter of an unnest, or what COPY streams. The driver's own encoding
// boxes every value, which costs more than the rest of the writer.
type column struct {
	oid  uint32 // of the array type
	elem uint32
	buf  []byte
	n    uint32
	null bool
}

// Postgres counts time in microseconds from the year 2000.
var postgresEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

const arrayHeader = 20 // dimensions, has nulls, element type, length, lower bound

func newColumn(f field, rows int) *column {
	return &column{oid: f.array, elem: f.elem, buf: make([]byte, arrayHeader, arrayHeader+rows*(4+f.width))}
}

// What a stream of COPY begins and ends with: a signature, flags and the length
// of an extension; a row of -1 fields.
const (
	copyHeader  = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	copyTrailer = "\xff\xff"
)

// beginRow begins a row of COPY's stream, which is made of the same values as an array.
func (c *column) beginRow(fields int) {
	c.buf = binary.BigEndian.AppendUint16(c.buf, uint16(fields)) // the columns of a table
}

func (c *column) size(n int) { c.buf = binary.BigEndian.AppendUint32(c.buf, uint32(n)) } // bounded by the message

func (c *column) addNull() {
	c.n++
	c.null = true
	c.buf = binary.BigEndian.AppendUint32(c.buf, math.MaxUint32) // length -1
}

func (c *column) addUUID(id uuid.UUID) {
	c.n++
	c.size(len(id))
	c.buf = append(c.buf, id[:]...)
}

func (c *column) addTime(t time.Time) {
	c.n++
	c.size(8)
	c.buf = binary.BigEndian.AppendUint64(c.buf, uint64(t.UnixMicro()-postgresEpoch)) // two's complement is the format
}

func (c *column) addInt2(n int) {
	c.n++
	c.size(2)
	c.buf = binary.BigEndian.AppendUint16(c.buf, uint16(n)) // validated: 100..599
}

func (c *column) addInt8(n *int64) {
	if n == nil {
		c.addNull()
		return
	}
	c.n++
	c.size(8)
	c.buf = binary.BigEndian.AppendUint64(c.buf, uint64(*n)) // two's complement is the format
}

func (c *column) addFloat(f float64) {
	c.n++
	c.size(8)
	c.buf = binary.BigEndian.AppendUint64(c.buf, math.Float64bits(f))
}

func (c *column) addBool(b *bool) {
	if b == nil {
		c.addNull()
		return
	}
	c.n++
	c.size(1)
	if *b {
		c.buf = append(c.buf, 1)
	} else {
		c.buf = append(c.buf, 0)
	}
}

// addText adds s, NULL for "".
func (c *column) addText(s string) {
	if s == "" {
		c.addNull()
		return
	}
	c.n++
	c.size(len(s))
	c.buf = append(c.buf, s...)
}

// addJSON adds a value of jsonb, NULL for none. A version comes before the text.
func (c *column) addJSON(raw []byte) {
	if len(raw) == 0 {
		c.addNull()
		return
	}
	const version = 1
	c.n++
	c.size(1 + len(raw))
	c.buf = append(append(c.buf, version), raw...)
}

// bytes returns the array with its header filled in.
func (c *column) bytes() []byte {
	dimensions, nulls := uint32(1), uint32(0)
	if c.null {
		nulls = 1
	}
	binary.BigEndian.PutUint32(c.buf[0:], dimensions)
	binary.BigEndian.PutUint32(c.buf[4:], nulls)
	binary.BigEndian.PutUint32(c.buf[8:], c.elem)
	binary.BigEndian.PutUint32(c.buf[12:], c.n)
	binary.BigEndian.PutUint32(c.buf[16:], 1)
	return c.buf
}
