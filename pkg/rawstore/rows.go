package rawstore

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/pgbinary"
)

// columnType is a column of a raw table and how its values are encoded.
type columnType struct {
	name  string
	array uint32 // OID of the type's array
	elem  uint32 // OID of the type
	width int    // bytes of a usual value
}

func uuidColumn(name string) columnType {
	return columnType{name, pgtype.UUIDArrayOID, pgtype.UUIDOID, 16}
}

func timeColumn(name string) columnType {
	return columnType{name, pgtype.TimestamptzArrayOID, pgtype.TimestamptzOID, 8}
}

func statusColumn(name string) columnType {
	return columnType{name, pgtype.Int2ArrayOID, pgtype.Int2OID, 2}
}

func counterColumn(name string) columnType {
	return columnType{name, pgtype.Int8ArrayOID, pgtype.Int8OID, 8}
}

func numberColumn(name string) columnType {
	return columnType{name, pgtype.Float8ArrayOID, pgtype.Float8OID, 8}
}

func boolColumn(name string) columnType {
	return columnType{name, pgtype.BoolArrayOID, pgtype.BoolOID, 1}
}

func textColumn(name string) columnType {
	return columnType{name, pgtype.TextArrayOID, pgtype.TextOID, 16}
}

func objectColumn(name string) columnType {
	return columnType{name, pgtype.JSONBArrayOID, pgtype.JSONBOID, 64}
}

// rawTable stores the events of its kind.
type rawTable interface {
	kind() event.Kind
	rows(r Rows) int
	// hours calls visit with the hour of each row, in seconds since 1970; of
	// neighbours in the same hour only once.
	hours(r Rows, visit func(int64))
	// copyStatement is the SQL for rows of which none is stored, and stream their data.
	copyStatement() string
	stream(r Rows) []byte
	// insertStatement is the SQL for rows of which some may be stored, with arrays
	// as its parameters. It returns each hour that got new rows, and how many.
	insertStatement() string
	arrays(r Rows) []*column
}

// table implements rawTable for one kind.
type table[E any] struct {
	of      event.Kind
	columns []columnType
	values  func([]*column, *E)
	list    func(Rows) []E
	head    func(*E) event.Head
	copy    string
	insert  string
}

func newTable[E any](kind event.Kind, columns []columnType, values func([]*column, *E), list func(Rows) []E, head func(*E) event.Head) *table[E] {
	var names, params []string
	for i, c := range columns {
		names, params = append(names, `"`+c.name+`"`), append(params, "$"+strconv.Itoa(i+1))
	}
	target := kind.RawTable() + " (" + strings.Join(names, ", ") + ")"
	return &table[E]{
		of: kind, columns: columns, values: values, list: list, head: head,
		copy: "COPY " + target + " FROM STDIN (FORMAT binary)",
		// Arrays: one statement and one round trip for any number of rows.
		insert: `WITH new AS (INSERT INTO ` + target + ` SELECT * FROM unnest(` + strings.Join(params, ", ") + `)
			ON CONFLICT DO NOTHING RETURNING "timestamp")
			SELECT (extract(epoch FROM date_bin('1 hour', "timestamp", 'epoch')))::bigint, count(*) FROM new GROUP BY 1`,
	}
}

func (t *table[E]) kind() event.Kind        { return t.of }
func (t *table[E]) rows(r Rows) int         { return len(t.list(r)) }
func (t *table[E]) copyStatement() string   { return t.copy }
func (t *table[E]) insertStatement() string { return t.insert }

func (t *table[E]) hours(r Rows, visit func(int64)) {
	rows, latest := t.list(r), int64(-1)
	for i := range rows {
		if start := t.head(&rows[i]).Timestamp.Truncate(time.Hour).Unix(); i == 0 || start != latest {
			latest = start
			visit(start)
		}
	}
}

// arrays returns the rows as one array a column, the parameters of the insert.
func (t *table[E]) arrays(r Rows) []*column {
	rows := t.list(r)
	columns := make([]*column, len(t.columns))
	for i, c := range t.columns {
		columns[i] = newColumn(c, len(rows))
	}
	for i := range rows {
		t.values(columns, &rows[i])
	}
	return columns
}

// stream returns the rows in the binary format of COPY: the same values as in
// arrays, row after row in one buffer.
func (t *table[E]) stream(r Rows) []byte {
	const usual = 320 // bytes of a row
	rows := t.list(r)
	size := len(pgbinary.CopyHeader) + len(rows)*usual + len(pgbinary.CopyTrailer)
	one := &column{buf: append(make([]byte, 0, size), pgbinary.CopyHeader...)}
	columns := slices.Repeat([]*column{one}, len(t.columns))
	for i := range rows {
		one.buf = pgbinary.AppendRow(one.buf, len(t.columns))
		t.values(columns, &rows[i])
	}
	return append(one.buf, pgbinary.CopyTrailer...)
}

// since returns the rows from line on, in microseconds since 1970. Nearly always
// these are all.
func since(r Rows, line float64) Rows {
	return r.Without(func(h event.Head) bool { return float64(h.Timestamp.UnixMicro()) < line })
}
