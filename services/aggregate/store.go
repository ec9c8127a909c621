package aggregate

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/postgres"
)

// hour is one hour of one kind.
type hour struct {
	kind  event.Kind
	start time.Time
}

func (h hour) end() time.Time { return h.start.Add(time.Hour) }

func (h hour) String() string { return fmt.Sprintf("%s %s", h.kind, h.start.Format(time.RFC3339)) }

// day is one UTC day of one kind.
type day struct {
	kind  event.Kind
	start time.Time
}

// rawTable is the table of a kind's raw rows.
func rawTable(kind event.Kind) string {
	if kind == event.KindUsage {
		return "usage_events"
	}
	return "performance_metrics"
}

// store is the aggregator's SQL.
type store struct {
	pool   *pgxpool.Pool
	limits limits
	// hook, when set, is called between the statements of a transaction: tests
	// store late rows there, or end the connection.
	hook func(ctx context.Context, step string) error
}

func (s *store) at(ctx context.Context, step string) error {
	if s.hook == nil {
		return nil
	}
	return s.hook(ctx, step)
}

// exec runs one statement and passes the step it completes.
func (s *store) exec(ctx context.Context, tx pgx.Tx, step, sql string, args ...any) error {
	if _, err := tx.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	return s.at(ctx, step)
}

// openHours lists the closed hours, oldest first, that have a mark or no
// receipt. Receipts are looked for from since on; marks always.
func (s *store) openHours(ctx context.Context, since, closed time.Time) (marked, unknown []hour, err error) {
	rows, err := s.pool.Query(ctx, listOpenHours, since, closed)
	if err != nil {
		return nil, nil, err
	}
	var h hour
	var isMarked bool
	_, err = pgx.ForEachRow(rows, []any{&h.kind, &h.start, &isMarked}, func() error {
		h.start = h.start.UTC()
		if isMarked {
			marked = append(marked, h)
		} else {
			unknown = append(unknown, h)
		}
		return nil
	})
	return marked, unknown, err
}

// writeEmpty gives those of the hours that have no rows their receipts, all in
// one statement, and returns the others. A row that is committed meanwhile
// brings a mark along, so a receipt that is wrong by then is corrected.
func (s *store) writeEmpty(ctx context.Context, hours []hour, runID uuid.UUID) ([]hour, error) {
	filled := make(map[hour]bool, len(hours))
	for _, kind := range event.Kinds() {
		var starts []time.Time
		for _, h := range hours {
			if h.kind == kind {
				starts = append(starts, h.start)
			}
		}
		if len(starts) == 0 {
			continue
		}
		err := postgres.Serializable(ctx, s.pool, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, fmt.Sprintf(writeEmptyReceipts, rawTable(kind)), kind, starts, runID)
			if err != nil {
				return err
			}
			var start time.Time
			_, err = pgx.ForEachRow(rows, []any{&start}, func() error {
				filled[hour{kind, start.UTC()}] = true
				return nil
			})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("receipts of empty hours: %w", err)
		}
	}
	var left []hour
	for _, h := range hours {
		if !filled[h] {
			left = append(left, h)
		}
	}
	return left, nil
}

// strayHours lists closed hours with raw rows whose receipt is missing or says
// there are none: rows that came without a mark. One index probe per hour.
func (s *store) strayHours(ctx context.Context, closed time.Time) ([]hour, error) {
	var out []hour
	for _, kind := range event.Kinds() {
		starts, err := s.times(ctx, fmt.Sprintf(listStrayHours, rawTable(kind)), kind, closed)
		if err != nil {
			return nil, err
		}
		for _, start := range starts {
			out = append(out, hour{kind, start.UTC()})
		}
	}
	return out, nil
}

// differingHours compares receipts with rows, by number and checksum, for the
// hours from start to end that have a receipt and no mark. It returns how many
// it compared and which differ.
func (s *store) differingHours(ctx context.Context, start, end time.Time) (verified int64, differing []hour, err error) {
	for _, kind := range event.Kinds() {
		rows, err := s.pool.Query(ctx, fmt.Sprintf(compareReceipts, rawTable(kind)), kind, start, end)
		if err != nil {
			return 0, nil, err
		}
		var bucket time.Time
		var same bool
		_, err = pgx.ForEachRow(rows, []any{&bucket, &same}, func() error {
			verified++
			if !same {
				differing = append(differing, hour{kind, bucket.UTC()})
			}
			return nil
		})
		if err != nil {
			return 0, nil, err
		}
	}
	return verified, differing, nil
}

func (s *store) times(ctx context.Context, sql string, args ...any) ([]time.Time, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[time.Time])
}

const (
	listOpenHours = `
SELECT metric_type, time_bucket, true FROM hour_marks
 WHERE time_bucket + interval '1 hour' <= $2 AND time_bucket >= (SELECT purged_before FROM purge_line)
UNION ALL
SELECT kind, h, false
  FROM unnest(ARRAY['performance', 'usage']) AS kind,
       generate_series(greatest($1, (SELECT purged_before FROM purge_line)), $2 - interval '1 hour', interval '1 hour') AS h
 WHERE NOT EXISTS (SELECT FROM hour_receipts r WHERE r.metric_type = kind AND r.time_bucket = h)
   AND NOT EXISTS (SELECT FROM hour_marks m WHERE m.metric_type = kind AND m.time_bucket = h)
 ORDER BY 2, 1`

	// ORDER BY with LIMIT is what makes each look one probe of the key.
	writeEmptyReceipts = `
INSERT INTO hour_receipts (metric_type, time_bucket, run_id)
SELECT $1, h, $3 FROM unnest($2::timestamptz[]) AS h
 WHERE (SELECT r."timestamp" FROM %s r WHERE r."timestamp" >= h AND r."timestamp" < h + interval '1 hour'
         ORDER BY r."timestamp" LIMIT 1) IS NULL
ON CONFLICT DO NOTHING RETURNING time_bucket`

	listStrayHours = `
WITH RECURSIVE filled (h) AS (
    (SELECT date_trunc('hour', r."timestamp", 'UTC') FROM %[1]s r
      WHERE r."timestamp" >= (SELECT purged_before FROM purge_line) ORDER BY r."timestamp" LIMIT 1)
    UNION ALL
    SELECT (SELECT date_trunc('hour', r."timestamp", 'UTC') FROM %[1]s r
             WHERE r."timestamp" >= f.h + interval '1 hour' ORDER BY r."timestamp" LIMIT 1)
      FROM filled f WHERE f.h IS NOT NULL AND f.h < $2)
SELECT h FROM filled
 WHERE h + interval '1 hour' <= $2
   AND NOT EXISTS (SELECT FROM hour_receipts WHERE metric_type = $1 AND time_bucket = h AND source_rows > 0)
 ORDER BY h`

	compareReceipts = `
SELECT e.time_bucket, e.source_rows = coalesce(r.n, 0) AND e.id_checksum = coalesce(r.checksum, 0)
  FROM hour_receipts e
       LEFT JOIN (SELECT date_trunc('hour', "timestamp", 'UTC') AS h, count(*) AS n, sum(uuid_hash_extended(id, 0)) AS checksum
                    FROM %s WHERE "timestamp" >= $2 AND "timestamp" < $3 GROUP BY 1) r ON r.h = e.time_bucket
 WHERE e.metric_type = $1 AND e.time_bucket >= greatest($2, (SELECT purged_before FROM purge_line)) AND e.time_bucket < $3
   AND NOT EXISTS (SELECT FROM hour_marks m WHERE m.metric_type = $1 AND m.time_bucket = e.time_bucket)
 ORDER BY 1`
)
