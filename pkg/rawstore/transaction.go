package rawstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
)

// transaction stores rows on one connection. It speaks to the connection
// directly: what can travel together does, and a batch takes four round trips.
type transaction struct {
	conn *pgconn.PgConn
	out  Outcome
	news map[hour]bool // hours that got new rows
}

// hour is one hour of a table.
type hour struct {
	start int64 // seconds since 1970
	kind  event.Kind
}

// put stores the rows in one transaction, with store.
func (s *Store) put(ctx context.Context, r Rows, store func(*transaction, context.Context, Rows) error) (Outcome, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return Outcome{}, fmt.Errorf("connection: %w", err)
	}
	defer conn.Release()
	t := transaction{conn: conn.Conn().PgConn(), news: map[hour]bool{}}
	err = t.run(ctx, r, func(r Rows) error {
		if err := store(&t, ctx, r); err != nil {
			return err
		}
		if s.afterInsert != nil {
			s.afterInsert()
		}
		return nil
	})
	if err != nil {
		// The first error counts. A connection that cannot roll back is in no
		// state to be used again, and Release closes it.
		_, _ = t.conn.Exec(ctx, `ROLLBACK`).ReadAll()
		return Outcome{}, err
	}
	return t.out, nil
}

// run leaves out what lies below the purge line, has the rest stored, marks and commits.
func (t *transaction) run(ctx context.Context, r Rows, store func(Rows) error) error {
	line, err := t.begin(ctx)
	if err != nil {
		return err
	}
	above := since(r, line)
	t.out.Summarised = r.Len() - above.Len()
	if err := store(above); err != nil {
		return err
	}
	return t.commit(ctx)
}

// begin keeps a purge out until the transaction ends, and returns the line that
// holds so long, in microseconds since 1970: it is read by a statement behind
// the lock, with a snapshot of its own. All of it is one round trip.
func (t *transaction) begin(ctx context.Context) (line float64, err error) {
	results, err := t.conn.Exec(ctx, `BEGIN; `+metricsdb.LockGateShared+`; `+metricsdb.SelectLineMicros).ReadAll()
	if err != nil {
		return 0, fmt.Errorf("begin: %w", err)
	}
	last := results[len(results)-1]
	if len(last.Rows) != 1 {
		return 0, errors.New("purge_line: must have one row")
	}
	if line, err = strconv.ParseFloat(string(last.Rows[0][0]), 64); err != nil { // -Infinity before the first purge
		return 0, fmt.Errorf("purge_line: %w", err)
	}
	return line, nil
}

// commit marks the hours that got new rows and commits, in one round trip: the
// locks on the marks are held for the commit alone.
func (t *transaction) commit(ctx context.Context) error {
	hours := make([]metricsdb.Hour, 0, len(t.news))
	for h := range t.news {
		hours = append(hours, metricsdb.Hour{Kind: h.kind, Start: time.Unix(h.start, 0).UTC()})
	}
	sql := "COMMIT"
	if marks := metricsdb.MarkHours(hours); marks != "" {
		sql = marks + "; COMMIT"
	}
	results, err := t.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return fmt.Errorf("mark hours and commit: %w", err)
	}
	if tag := results[len(results)-1].CommandTag.String(); tag != "COMMIT" {
		return fmt.Errorf("commit was answered with %s", tag)
	}
	return nil
}

// copyNew stores rows of which none is there. One that is ends the transaction:
// see repeated.
func (t *transaction) copyNew(ctx context.Context, r Rows) error {
	if err := CopyInto(ctx, t.conn, r); err != nil {
		return err
	}
	t.out.Stored += r.Len()
	for _, to := range tables {
		to.hours(r, func(start int64) { t.news[hour{start: start, kind: to.kind()}] = true })
	}
	return nil
}

// CopyInto copies rows into their tables, inside of whatever transaction the
// connection is in. It neither looks at the purge line nor marks hours: that is
// [Store.Put]'s. A row that is stored already fails all of them.
func CopyInto(ctx context.Context, conn *pgconn.PgConn, r Rows) error {
	for _, to := range tables {
		n := to.rows(r)
		if n == 0 {
			continue
		}
		tag, err := conn.CopyFrom(ctx, bytes.NewReader(to.stream(r)), to.copyStatement())
		if err != nil {
			return fmt.Errorf("copy %s: %w", to.kind(), err)
		}
		if int(tag.RowsAffected()) != n {
			return fmt.Errorf("copy %s: %d rows became %d", to.kind(), n, tag.RowsAffected())
		}
	}
	return nil
}

// insertMissing stores those of the rows that are not there.
func (t *transaction) insertMissing(ctx context.Context, r Rows) error {
	for _, to := range tables {
		if to.rows(r) == 0 {
			continue
		}
		if err := t.insertInto(ctx, to, r); err != nil {
			return fmt.Errorf("insert %s: %w", to.kind(), err)
		}
	}
	return nil
}

func (t *transaction) insertInto(ctx context.Context, to rawTable, r Rows) error {
	columns := to.arrays(r)
	values := make([][]byte, len(columns))
	oids := make([]uint32, len(columns))
	for i, c := range columns {
		values[i], oids[i] = c.bytes(), c.array
	}
	binaryFormat := []int16{1}
	result := t.conn.ExecParams(ctx, to.insertStatement(), values, oids, binaryFormat, binaryFormat).Read()
	if result.Err != nil {
		return result.Err
	}
	stored := 0
	for _, row := range result.Rows {
		start := int64(binary.BigEndian.Uint64(row[0])) // a bigint
		stored += int(binary.BigEndian.Uint64(row[1]))  // a count of our own rows
		t.news[hour{start: start, kind: to.kind()}] = true
	}
	t.out.Stored += stored
	t.out.Duplicate += to.rows(r) - stored
	return nil
}
