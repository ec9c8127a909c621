package main

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/lakepulse/lakepulse/bench/load"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/pgbinary"
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

// appendValues appends every value of a row, each to the column of its place in rowColumns.
func appendValues(to []*[]byte, p *event.Performance) {
	*to[0] = pgbinary.AppendUUID(*to[0], p.ID)
	*to[1] = pgbinary.AppendTime(*to[1], p.Timestamp)
	*to[2] = pgbinary.AppendTime(*to[2], p.ReceivedAt)
	*to[3] = pgbinary.AppendText(*to[3], p.App)
	*to[4] = pgbinary.AppendText(*to[4], p.Endpoint)
	*to[5] = pgbinary.AppendText(*to[5], p.Method)
	*to[6] = pgbinary.AppendInt2(*to[6], int16(p.StatusCode)) //nolint:gosec // 100..599
	*to[7] = pgbinary.AppendFloat8(*to[7], p.ResponseTimeMS)
	*to[8] = pgbinary.AppendInt8(*to[8], *p.Seq)
	*to[9] = pgbinary.AppendText(*to[9], p.Instance)
	*to[10] = pgbinary.AppendText(*to[10], p.UserID)
	*to[11] = pgbinary.AppendText(*to[11], p.AppVersion)
}

// arrays encodes rows as one array a column.
func arrays(rows []event.Performance) (values [][]byte, oids []uint32) {
	values, oids = make([][]byte, len(rowColumns)), make([]uint32, len(rowColumns))
	to := make([]*[]byte, len(rowColumns))
	for i, c := range rowColumns {
		values[i], oids[i] = make([]byte, pgbinary.ArrayHeader, pgbinary.ArrayHeader+len(rows)*40), c.array
		to[i] = &values[i]
	}
	for i := range rows {
		appendValues(to, &rows[i])
	}
	for i, c := range rowColumns {
		pgbinary.PutArrayHeader(values[i], c.elem, len(rows), false)
	}
	return values, oids
}

// copyStream encodes rows as COPY's binary format.
func copyStream(rows []event.Performance) []byte {
	out := append(make([]byte, 0, 64+len(rows)*280), pgbinary.CopyHeader...)
	to := slices.Repeat([]*[]byte{&out}, len(rowColumns))
	for i := range rows {
		out = pgbinary.AppendRow(out, len(rowColumns))
		appendValues(to, &rows[i])
	}
	return append(out, pgbinary.CopyTrailer...)
}
