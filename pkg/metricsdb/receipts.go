package metricsdb

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// ListOpenHours lists the closed hours, oldest first, that have a mark or no
// receipt. Receipts are looked for from since on; marks always.
func ListOpenHours(ctx context.Context, db DB, since, closed time.Time) (marked, withoutReceipt []Hour, err error) {
	var h Hour
	var isMarked bool
	err = queryRows(ctx, db, "list open hours", listOpenHours, []any{since, closed}, []any{&h.Kind, &h.Start, &isMarked}, func() error {
		h.Start = h.Start.UTC()
		if isMarked {
			marked = append(marked, h)
		} else {
			withoutReceipt = append(withoutReceipt, h)
		}
		return nil
	})
	return marked, withoutReceipt, err
}

// WriteEmptyReceipts gives those of a kind's hours that have no rows their
// receipts, all in one statement, and returns the hours it gave one. A row that
// is committed meanwhile brings a mark along, so that the receipt is corrected.
func WriteEmptyReceipts(ctx context.Context, tx pgx.Tx, kind event.Kind, starts []time.Time, runID uuid.UUID) ([]time.Time, error) {
	return queryTimes(ctx, tx, fmt.Sprintf(writeEmptyReceipts, RawTable(kind)), kind, starts, runID)
}

// ListStrayHours lists closed hours of a kind that have raw rows while their
// receipt is missing or says there are none: the rows came without a mark. It
// costs one index probe per hour.
func ListStrayHours(ctx context.Context, db DB, kind event.Kind, closed time.Time) ([]time.Time, error) {
	return queryTimes(ctx, db, fmt.Sprintf(listStrayHours, RawTable(kind)), kind, closed)
}

// CompareReceipts compares receipts with rows, by number and checksum, for the
// hours of a kind from start to end that have a receipt and no mark.
func CompareReceipts(ctx context.Context, db DB, kind event.Kind, start, end time.Time, each func(hour time.Time, same bool)) error {
	var bucket time.Time
	var same bool
	return queryRows(ctx, db, "compare receipts", fmt.Sprintf(compareReceipts, RawTable(kind)), []any{kind, start, end},
		[]any{&bucket, &same}, func() error {
			each(bucket.UTC(), same)
			return nil
		})
}

// AggregatedHour is an hour or a UTC day that aggregates answer for.
type AggregatedHour struct {
	Kind  event.Kind
	Start time.Time
	Rows  int64 // that it was made from
	Whole bool  // of an hour: it is not kept in parts
}

// ReadAggregatedHours reads the hours between two moments that have a receipt and
// no mark: aggregates answer for them.
func ReadAggregatedHours(ctx context.Context, db DB, from, to time.Time, each func(AggregatedHour)) error {
	return readReceipts(ctx, db, "read hour receipts", aggregatedHours, from.Truncate(time.Hour), to, each)
}

// ReadAggregatedDays is [ReadAggregatedHours] for the sums of UTC days.
func ReadAggregatedDays(ctx context.Context, db DB, from, to time.Time, each func(AggregatedHour)) error {
	return readReceipts(ctx, db, "read day receipts", aggregatedDays, from.Truncate(24*time.Hour), to, each)
}

func readReceipts(ctx context.Context, db DB, what, sql string, from, to time.Time, each func(AggregatedHour)) error {
	var h AggregatedHour
	return queryRows(ctx, db, what, sql, []any{from, to}, []any{&h.Kind, &h.Start, &h.Rows, &h.Whole}, func() error {
		h.Start = h.Start.UTC()
		each(h)
		return nil
	})
}

// DeleteHour deletes an hour's raw rows and reports how many there were and
// whether they are those of the hour's receipt, by number and checksum.
func DeleteHour(ctx context.Context, tx pgx.Tx, h Hour) (n int64, same bool, err error) {
	err = tx.QueryRow(ctx, fmt.Sprintf(deleteHour, RawTable(h.Kind)), h.Kind, h.Start, h.End()).Scan(&n, &same)
	return n, same, err
}

func queryTimes(ctx context.Context, db DB, sql string, args ...any) ([]time.Time, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (at time.Time, err error) {
		err = row.Scan(&at)
		return at.UTC(), err
	})
}

const (
	aggregatedHours = `
SELECT r.metric_type, r.time_bucket, r.source_rows, r.whole AND r.source_rows > 0 FROM hour_receipts r
 WHERE r.time_bucket >= $1 AND r.time_bucket < $2
   AND NOT EXISTS (SELECT FROM hour_marks m WHERE m.metric_type = r.metric_type AND m.time_bucket = r.time_bucket)`

	aggregatedDays = `
SELECT r.metric_type, r.time_bucket, r.source_rows, false FROM day_receipts r
 WHERE r.time_bucket >= $1 AND r.time_bucket < $2
   AND NOT EXISTS (SELECT FROM hour_marks m WHERE m.metric_type = r.metric_type AND m.time_bucket >= r.time_bucket
                      AND m.time_bucket < r.time_bucket + interval '24 hours')`

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

	// ORDER BY with LIMIT makes each look one probe of the key.
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

	deleteHour = `
WITH gone AS (DELETE FROM %s WHERE "timestamp" >= $2 AND "timestamp" < $3 RETURNING id),
     sum AS (SELECT count(*) AS n, coalesce(sum(uuid_hash_extended(id, 0)), 0) AS checksum FROM gone)
SELECT n, coalesce((SELECT source_rows = n AND id_checksum = checksum FROM hour_receipts WHERE metric_type = $1 AND time_bucket = $2), false)
  FROM sum`
)
