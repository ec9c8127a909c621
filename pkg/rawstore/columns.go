package rawstore

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// column is a Postgres array in the binary format, built value by value: the
// parameter of an unnest. The driver's own array encoding boxes every value,
// which costs more than the rest of the writer.
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

func newColumn(array, elem uint32, rows, width int) *column {
	return &column{oid: array, elem: elem, buf: make([]byte, arrayHeader, arrayHeader+rows*(4+width))}
}

func uuids(rows int) *column { return newColumn(pgtype.UUIDArrayOID, pgtype.UUIDOID, rows, 16) }
func times(rows int) *column {
	return newColumn(pgtype.TimestamptzArrayOID, pgtype.TimestamptzOID, rows, 8)
}
func int2s(rows int) *column  { return newColumn(pgtype.Int2ArrayOID, pgtype.Int2OID, rows, 2) }
func int8s(rows int) *column  { return newColumn(pgtype.Int8ArrayOID, pgtype.Int8OID, rows, 8) }
func floats(rows int) *column { return newColumn(pgtype.Float8ArrayOID, pgtype.Float8OID, rows, 8) }
func bools(rows int) *column  { return newColumn(pgtype.BoolArrayOID, pgtype.BoolOID, rows, 1) }
func texts(rows int) *column  { return newColumn(pgtype.TextArrayOID, pgtype.TextOID, rows, 16) }

func (c *column) size(n int) { c.buf = binary.BigEndian.AppendUint32(c.buf, uint32(n)) } //nolint:gosec // bounded by the message

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
	c.buf = binary.BigEndian.AppendUint64(c.buf, uint64(t.UnixMicro()-postgresEpoch)) //nolint:gosec // two's complement is the format
}

func (c *column) addInt2(n int) {
	c.n++
	c.size(2)
	c.buf = binary.BigEndian.AppendUint16(c.buf, uint16(n)) //nolint:gosec // validated: 100..599
}

func (c *column) addInt8(n *int64) {
	if n == nil {
		c.addNull()
		return
	}
	c.n++
	c.size(8)
	c.buf = binary.BigEndian.AppendUint64(c.buf, uint64(*n)) //nolint:gosec // two's complement is the format
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
