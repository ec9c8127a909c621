package rawstore

import (
	"time"

	"github.com/google/uuid"

	"github.com/lakepulse/lakepulse/pkg/pgbinary"
)

// column is values in Postgres' binary format, one after the other: an array,
// the parameter of an unnest, or what COPY streams.
type column struct {
	columnType

	buf  []byte
	n    int
	null bool
}

func newColumn(c columnType, rows int) *column {
	return &column{columnType: c, buf: make([]byte, pgbinary.ArrayHeader, pgbinary.ArrayHeader+rows*(4+c.width))}
}

func (c *column) addNull() {
	c.n++
	c.null = true
	c.buf = pgbinary.AppendNull(c.buf)
}

func (c *column) addUUID(id uuid.UUID) {
	c.n++
	c.buf = pgbinary.AppendUUID(c.buf, id)
}

func (c *column) addTime(t time.Time) {
	c.n++
	c.buf = pgbinary.AppendTime(c.buf, t)
}

func (c *column) addInt2(n int) {
	c.n++
	c.buf = pgbinary.AppendInt2(c.buf, int16(n)) // validated: 100..599
}

func (c *column) addInt8(n *int64) {
	if n == nil {
		c.addNull()
		return
	}
	c.n++
	c.buf = pgbinary.AppendInt8(c.buf, *n)
}

func (c *column) addFloat(f float64) {
	c.n++
	c.buf = pgbinary.AppendFloat8(c.buf, f)
}

func (c *column) addBool(b *bool) {
	if b == nil {
		c.addNull()
		return
	}
	c.n++
	c.buf = pgbinary.AppendBool(c.buf, *b)
}

// addText adds s, NULL for "".
func (c *column) addText(s string) {
	if s == "" {
		c.addNull()
		return
	}
	c.n++
	c.buf = pgbinary.AppendText(c.buf, s)
}

// addJSON adds a jsonb, NULL for none.
func (c *column) addJSON(text []byte) {
	if len(text) == 0 {
		c.addNull()
		return
	}
	c.n++
	c.buf = pgbinary.AppendJSONB(c.buf, text)
}

// bytes returns the array with its header filled in.
func (c *column) bytes() []byte {
	pgbinary.PutArrayHeader(c.buf, c.elem, c.n, c.null)
	return c.buf
}
