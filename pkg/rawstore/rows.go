package rawstore

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/pgbinary"
)

// field is a column of a raw table. The order of the fields is that of the
// values performanceValues and usageValues write.
type field struct {
	name  string
	array uint32 // OID of the type's array
	elem  uint32 // OID of the type
	width int    // bytes of a usual value
}

func uuidField(name string) field {
	return field{name, pgtype.UUIDArrayOID, pgtype.UUIDOID, 16}
}
func timeField(name string) field {
	return field{name, pgtype.TimestamptzArrayOID, pgtype.TimestamptzOID, 8}
}
func int2Field(name string) field  { return field{name, pgtype.Int2ArrayOID, pgtype.Int2OID, 2} }
func int8Field(name string) field  { return field{name, pgtype.Int8ArrayOID, pgtype.Int8OID, 8} }
func floatField(name string) field { return field{name, pgtype.Float8ArrayOID, pgtype.Float8OID, 8} }
func boolField(name string) field  { return field{name, pgtype.BoolArrayOID, pgtype.BoolOID, 1} }
func textField(name string) field  { return field{name, pgtype.TextArrayOID, pgtype.TextOID, 16} }
func jsonField(name string) field  { return field{name, pgtype.JSONBArrayOID, pgtype.JSONBOID, 64} }

var performanceFields = []field{
	uuidField("id"), timeField("timestamp"), timeField("received_at"), textField("app"), textField("endpoint"), textField("method"),
	int2Field("status_code"), floatField("response_time_ms"), int8Field("seq"), textField("instance"), textField("user_id"),
	textField("error_type"), textField("app_version"), textField("session_id"), textField("interaction_id"), textField("trace_id"),
	textField("correlation_id"),
}

// performanceValues writes an event's values, each into the column of its field.
func performanceValues(to []*column, p *event.Performance) {
	to[0].addUUID(p.ID)
	to[1].addTime(p.Timestamp)
	to[2].addTime(p.ReceivedAt)
	to[3].addText(p.App)
	to[4].addText(p.Endpoint)
	to[5].addText(p.Method)
	to[6].addInt2(p.StatusCode)
	to[7].addFloat(p.ResponseTimeMS)
	to[8].addInt8(p.Seq)
	to[9].addText(p.Instance)
	to[10].addText(p.UserID)
	to[11].addText(p.ErrorType)
	to[12].addText(p.AppVersion)
	to[13].addText(p.SessionID)
	to[14].addText(p.InteractionID)
	to[15].addText(p.TraceID)
	to[16].addText(p.CorrelationID)
}

var usageFields = []field{
	uuidField("id"), timeField("timestamp"), timeField("received_at"), textField("app"), textField("event_type"), textField("user_id"),
	boolField("success"), int8Field("seq"), textField("page_name"), textField("element_id"), textField("app_version"),
	textField("session_id"), textField("interaction_id"), jsonField("metadata"),
}

// usageValues writes an event's values, each into the column of its field.
func usageValues(to []*column, u *event.Usage) {
	to[0].addUUID(u.ID)
	to[1].addTime(u.Timestamp)
	to[2].addTime(u.ReceivedAt)
	to[3].addText(u.App)
	to[4].addText(u.EventType)
	to[5].addText(u.UserID)
	to[6].addBool(u.Success)
	to[7].addInt8(u.Seq)
	to[8].addText(u.PageName)
	to[9].addText(u.ElementID)
	to[10].addText(u.AppVersion)
	to[11].addText(u.SessionID)
	to[12].addText(u.InteractionID)
	to[13].addJSON(u.Metadata)
}

// table is one of the raw tables, and how events get into it.
type table[E any] struct {
	kind   event.Kind
	fields []field
	at     func(*E) time.Time
	values func([]*column, *E)
	copy   string // SQL: rows of which none is there
	insert string // SQL: rows of which some may be there; returns each hour that got new rows, and how many
}

var (
	performanceTable = newTable(metricsdb.PerformanceTable, event.KindPerformance, performanceFields, performanceValues,
		func(p *event.Performance) time.Time { return p.Timestamp })
	usageTable = newTable(metricsdb.UsageTable, event.KindUsage, usageFields, usageValues,
		func(u *event.Usage) time.Time { return u.Timestamp })
)

func newTable[E any](name string, kind event.Kind, fields []field, values func([]*column, *E), at func(*E) time.Time) *table[E] {
	var names, params []string
	for i, f := range fields {
		names, params = append(names, `"`+f.name+`"`), append(params, "$"+strconv.Itoa(i+1))
	}
	list := name + " (" + strings.Join(names, ", ") + ")"
	return &table[E]{
		kind: kind, fields: fields, values: values, at: at,
		copy: "COPY " + list + " FROM STDIN (FORMAT binary)",
		// Arrays: one statement and one round trip for any number of rows.
		insert: `WITH new AS (INSERT INTO ` + list + ` SELECT * FROM unnest(` + strings.Join(params, ", ") + `)
			ON CONFLICT DO NOTHING RETURNING "timestamp")
			SELECT (extract(epoch FROM date_bin('1 hour', "timestamp", 'epoch')))::bigint, count(*) FROM new GROUP BY 1`,
	}
}

// arrays returns the rows as one array a column, the parameters of the insert.
func (t *table[E]) arrays(rows []E) []*column {
	columns := make([]*column, len(t.fields))
	for i, f := range t.fields {
		columns[i] = newColumn(f, len(rows))
	}
	for i := range rows {
		t.values(columns, &rows[i])
	}
	return columns
}

// stream returns the rows in the binary format of COPY: the same values as in
// arrays, row after row in one buffer.
func (t *table[E]) stream(rows []E) []byte {
	const usual = 320 // bytes of a row
	size := len(pgbinary.CopyHeader) + len(rows)*usual + len(pgbinary.CopyTrailer)
	one := &column{buf: append(make([]byte, 0, size), pgbinary.CopyHeader...)}
	columns := slices.Repeat([]*column{one}, len(t.fields))
	for i := range rows {
		one.buf = pgbinary.AppendRow(one.buf, len(t.fields))
		t.values(columns, &rows[i])
	}
	return append(one.buf, pgbinary.CopyTrailer...)
}

// since returns the rows from line on, in microseconds since 1970. Nearly always
// these are all.
func (r Rows) since(line float64) Rows {
	early := func(at time.Time) bool { return float64(at.UnixMicro()) < line }
	return Rows{
		Performance: without(r.Performance, func(p event.Performance) bool { return early(p.Timestamp) }),
		Usage:       without(r.Usage, func(u event.Usage) bool { return early(u.Timestamp) }),
	}
}

// without leaves the list it is given as it is.
func without[E any](list []E, unwanted func(E) bool) []E {
	if !slices.ContainsFunc(list, unwanted) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), unwanted)
}
