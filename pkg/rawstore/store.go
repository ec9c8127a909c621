package rawstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// Rows are events on their way into the tables.
type Rows struct {
	Performance []event.Performance
	Usage       []event.Usage
}

// Len returns how many rows there are.
func (r Rows) Len() int { return len(r.Performance) + len(r.Usage) }

// Halves splits the rows in two, for the search of one that cannot be stored.
func (r Rows) Halves() (first, second Rows) {
	if len(r.Performance) > 0 && len(r.Usage) > 0 {
		return Rows{Performance: r.Performance}, Rows{Usage: r.Usage}
	}
	p, u := len(r.Performance)/2, len(r.Usage)/2
	return Rows{Performance: r.Performance[:p], Usage: r.Usage[:u]}, Rows{Performance: r.Performance[p:], Usage: r.Usage[u:]}
}

// Outcome counts what became of rows.
type Outcome struct {
	Stored     int // new rows
	Duplicate  int // were there already
	Summarised int // below the purge line: they stand in the aggregates
}

// Plus returns the sum of two outcomes.
func (o Outcome) Plus(p Outcome) Outcome {
	return Outcome{o.Stored + p.Stored, o.Duplicate + p.Duplicate, o.Summarised + p.Summarised}
}

// Store keeps rows in the raw tables.
type Store struct {
	pool *pgxpool.Pool
	// afterInsert is called before the commit; tests stop the world there.
	afterInsert func()
}

// New returns a store on pool. afterInsert, when not nil, is called in each
// transaction between the last insert and the marks: tests stop the world there.
func New(pool *pgxpool.Pool, afterInsert func()) *Store {
	return &Store{pool: pool, afterInsert: afterInsert}
}

// hour is one hour of a table that got new rows.
type hour struct {
	start time.Time
	kind  event.Kind
}

// Put stores the rows in one transaction, as the package's invariants say.
func (s *Store) Put(ctx context.Context, r Rows) (Outcome, error) {
	var out Outcome
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{BeginQuery: beginInGate}, func(tx pgx.Tx) error {
		out = Outcome{}
		var marks []hour
		if n := len(r.Performance); n > 0 {
			hours, did, err := insert(ctx, tx, insertPerformance, event.KindPerformance, performanceColumns(r.Performance))
			if err != nil {
				return err
			}
			marks = append(marks, hours...)
			did.Duplicate = n - did.Stored - did.Summarised
			out = out.Plus(did)
		}
		if n := len(r.Usage); n > 0 {
			hours, did, err := insert(ctx, tx, insertUsage, event.KindUsage, usageColumns(r.Usage))
			if err != nil {
				return err
			}
			marks = append(marks, hours...)
			did.Duplicate = n - did.Stored - did.Summarised
			out = out.Plus(did)
		}
		if s.afterInsert != nil {
			s.afterInsert()
		}
		return mark(ctx, tx, marks)
	})
	return out, err
}

// beginInGate keeps a purge out until the transaction ends. The insert comes
// after the lock, in a statement of its own: its snapshot so shows the purge
// line that holds. Both statements are one round trip.
const beginInGate = `BEGIN; LOCK TABLE purge_gate IN ROW SHARE MODE`

// The inserts take arrays: one statement and one round trip for any number of
// rows. They return how many rows of which hour are new, and with no hour how
// many lie below the purge line.
const (
	insertPerformance = `
WITH new AS (
  INSERT INTO performance_metrics (id, "timestamp", received_at, app, endpoint, method, status_code, response_time_ms, seq,
         instance, user_id, error_type, app_version, session_id, interaction_id, trace_id, correlation_id)
  SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::smallint[],
         $8::float8[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
         $17::text[]) AS e(id, at)
   WHERE e.at >= (SELECT purged_before FROM purge_line)
  ON CONFLICT DO NOTHING
  RETURNING "timestamp")
SELECT (extract(epoch FROM date_bin('1 hour', "timestamp", 'epoch')))::bigint, count(*) FROM new GROUP BY 1
 UNION ALL
SELECT NULL, count(*) FROM unnest($2::timestamptz[]) AS at WHERE at < (SELECT purged_before FROM purge_line)`

	insertUsage = `
WITH new AS (
  INSERT INTO usage_events (id, "timestamp", received_at, app, event_type, user_id, success, seq, page_name, element_id,
         app_version, session_id, interaction_id, metadata)
  SELECT e.id, e.at, e.received, e.app, e.kind, e.who, e.success, e.seq, e.page, e.element, e.version, e.session, e.interaction,
         e.metadata::jsonb
    FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::bigint[],
         $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[])
      AS e(id, at, received, app, kind, who, success, seq, page, element, version, session, interaction, metadata)
   WHERE e.at >= (SELECT purged_before FROM purge_line)
  ON CONFLICT DO NOTHING
  RETURNING "timestamp")
SELECT (extract(epoch FROM date_bin('1 hour', "timestamp", 'epoch')))::bigint, count(*) FROM new GROUP BY 1
 UNION ALL
SELECT NULL, count(*) FROM unnest($2::timestamptz[]) AS at WHERE at < (SELECT purged_before FROM purge_line)`
)

func insert(ctx context.Context, tx pgx.Tx, sql string, kind event.Kind, columns []*column) ([]hour, Outcome, error) {
	values := make([][]byte, len(columns))
	oids := make([]uint32, len(columns))
	for i, c := range columns {
		values[i], oids[i] = c.bytes(), c.oid
	}
	binaryFormat := []int16{1}
	result := tx.Conn().PgConn().ExecParams(ctx, sql, values, oids, binaryFormat, binaryFormat).Read()
	if result.Err != nil {
		return nil, Outcome{}, fmt.Errorf("insert %s: %w", kind, result.Err)
	}
	var hours []hour
	var out Outcome
	for _, row := range result.Rows {
		n := int(binary.BigEndian.Uint64(row[1])) //nolint:gosec // a count of our own rows
		if row[0] == nil {
			out.Summarised = n
			continue
		}
		seconds := int64(binary.BigEndian.Uint64(row[0])) //nolint:gosec // a bigint
		hours = append(hours, hour{start: time.Unix(seconds, 0).UTC(), kind: kind})
		out.Stored += n
	}
	return hours, out, nil
}

// mark says that hours have rows the aggregator has not seen. It updates marks
// that are there: see hour_marks. One order for all writers, so that two of
// them cannot wait for each other.
func mark(ctx context.Context, tx pgx.Tx, hours []hour) error {
	if len(hours) == 0 {
		return nil
	}
	slices.SortFunc(hours, func(a, b hour) int {
		if c := a.start.Compare(b.start); c != 0 {
			return c
		}
		return int(a.kind[0]) - int(b.kind[0])
	})
	starts, kinds := make([]time.Time, len(hours)), make([]string, len(hours))
	for i, h := range hours {
		starts[i], kinds[i] = h.start, string(h.kind)
	}
	_, err := tx.Exec(ctx, `
INSERT INTO hour_marks (time_bucket, metric_type)
SELECT * FROM unnest($1::timestamptz[], $2::text[])
ON CONFLICT (time_bucket, metric_type) DO UPDATE SET version = hour_marks.version + 1, marked_at = now()`, starts, kinds)
	if err != nil {
		return fmt.Errorf("mark hours: %w", err)
	}
	return nil
}

// EnsureDays makes the daily partitions from one day to another.
func (s *Store) EnsureDays(ctx context.Context, from, to time.Time) error {
	for day := from.UTC().Truncate(24 * time.Hour); !day.After(to); day = day.Add(24 * time.Hour) {
		for _, table := range []string{"performance_metrics", "usage_events"} {
			if _, err := s.pool.Exec(ctx, `SELECT ensure_raw_partition($1, $2::date)`, table, day.Format(time.DateOnly)); err != nil {
				return fmt.Errorf("partition of %s for %s: %w", table, day.Format(time.DateOnly), err)
			}
		}
	}
	return nil
}

// EnsureFor makes the partitions the rows need.
func (s *Store) EnsureFor(ctx context.Context, r Rows) error {
	days := map[time.Time]bool{}
	for i := range r.Performance {
		days[r.Performance[i].Timestamp.UTC().Truncate(24*time.Hour)] = true
	}
	for i := range r.Usage {
		days[r.Usage[i].Timestamp.UTC().Truncate(24*time.Hour)] = true
	}
	for day := range days {
		if err := s.EnsureDays(ctx, day, day); err != nil {
			return err
		}
	}
	return nil
}
