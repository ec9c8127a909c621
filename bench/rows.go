package main

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/lakepulse/lakepulse/bench/load"
	"github.com/lakepulse/lakepulse/pkg/event"
)

// The columns of performance_metrics as the ceilings write them, in Postgres'
// binary format and without the driver's boxing.
var rowColumns = []struct {
	name        string
	sql         string
	array, elem uint32
}{
	{"id", "uuid", pgtype.UUIDArrayOID, pgtype.UUIDOID},
	{`"timestamp"`, "timestamptz", pgtype.TimestamptzArrayOID, pgtype.TimestamptzOID},
	{"received_at", "timestamptz", pgtype.TimestamptzArrayOID, pgtype.TimestamptzOID},
	{"app", "text", pgtype.TextArrayOID, pgtype.TextOID},
	{"endpoint", "text", pgtype.TextArrayOID, pgtype.TextOID},
	{"method", "text", pgtype.TextArrayOID, pgtype.TextOID},
	{"status_code", "smallint", pgtype.Int2ArrayOID, pgtype.Int2OID},
	{"response_time_ms", "float8", pgtype.Float8ArrayOID, pgtype.Float8OID},
	{"seq", "bigint", pgtype.Int8ArrayOID, pgtype.Int8OID},
	{"instance", "text", pgtype.TextArrayOID, pgtype.TextOID},
	{"user_id", "text", pgtype.TextArrayOID, pgtype.TextOID},
	{"app_version", "text", pgtype.TextArrayOID, pgtype.TextOID},
}

// makeRows makes events of the population, all of this moment.
func makeRows(n int, r *rand.Rand) []event.Performance {
	rows := make([]event.Performance, n)
	for i := range rows {
		now := time.Now().Truncate(time.Microsecond)
		rows[i] = load.Performance(r)
		seq := int64(i)
		rows[i].ID, rows[i].Timestamp, rows[i].ReceivedAt, rows[i].Seq = load.NewID(now), now, now, &seq
	}
	return rows
}

var year2000 = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

// eachValue calls f with every value of a row, in the order of rowColumns.
func eachValue(p *event.Performance, f func(column int, value []byte)) {
	var word [8]byte
	put := func(column int, v uint64) {
		binary.BigEndian.PutUint64(word[:], v)
		f(column, word[:])
	}
	f(0, p.ID[:])
	put(1, uint64(p.Timestamp.UnixMicro()-year2000))  //nolint:gosec // two's complement is the format
	put(2, uint64(p.ReceivedAt.UnixMicro()-year2000)) //nolint:gosec // as above
	f(3, []byte(p.App))
	f(4, []byte(p.Endpoint))
	f(5, []byte(p.Method))
	binary.BigEndian.PutUint16(word[:], uint16(p.StatusCode)) //nolint:gosec // 100..599
	f(6, word[:2])
	put(7, math.Float64bits(p.ResponseTimeMS))
	put(8, uint64(*p.Seq)) //nolint:gosec // as above
	f(9, []byte(p.Instance))
	f(10, []byte(p.UserID))
	f(11, []byte(p.AppVersion))
}

// arrays encodes rows as one array a column.
func arrays(rows []event.Performance) (values [][]byte, oids []uint32) {
	values, oids = make([][]byte, len(rowColumns)), make([]uint32, len(rowColumns))
	for i, c := range rowColumns {
		head := make([]byte, 20, 20+len(rows)*40)
		binary.BigEndian.PutUint32(head[0:], 1)
		binary.BigEndian.PutUint32(head[8:], c.elem)
		binary.BigEndian.PutUint32(head[12:], uint32(len(rows))) //nolint:gosec // a few thousand
		binary.BigEndian.PutUint32(head[16:], 1)
		values[i], oids[i] = head, c.array
	}
	for i := range rows {
		eachValue(&rows[i], func(c int, v []byte) {
			values[c] = append(binary.BigEndian.AppendUint32(values[c], uint32(len(v))), v...) //nolint:gosec // short texts
		})
	}
	return values, oids
}

// copyStream encodes rows as COPY's binary format.
func copyStream(rows []event.Performance) []byte {
	out := make([]byte, 0, 64+len(rows)*280)
	out = append(out, "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	for i := range rows {
		out = binary.BigEndian.AppendUint16(out, uint16(len(rowColumns))) //nolint:gosec // a dozen
		eachValue(&rows[i], func(_ int, v []byte) {
			out = append(binary.BigEndian.AppendUint32(out, uint32(len(v))), v...) //nolint:gosec // as above
		})
	}
	return append(out, 0xff, 0xff)
}
