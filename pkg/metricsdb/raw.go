package metricsdb

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// The tables of raw rows.
const (
	PerformanceTable = "performance_metrics"
	UsageTable       = "usage_events"
)

// RawTable returns the table that holds the raw rows of a kind.
func RawTable(kind event.Kind) string { return kind.RawTable() }

// RawTables returns the tables of raw rows.
func RawTables() []string {
	var tables []string
	for _, kind := range event.Kinds() {
		tables = append(tables, kind.RawTable())
	}
	return tables
}

// EnsurePartition makes the partition of a raw table for a UTC day, unless it exists.
func EnsurePartition(ctx context.Context, db DB, table string, day time.Time) error {
	if _, err := db.Exec(ctx, `SELECT ensure_raw_partition($1, $2::date)`, table, day.UTC().Format(time.DateOnly)); err != nil {
		return fmt.Errorf("partition of %s for %s: %w", table, day.UTC().Format(time.DateOnly), err)
	}
	return nil
}

// EnsurePartitions makes the partitions of all raw tables from one day to another.
func EnsurePartitions(ctx context.Context, db DB, from, to time.Time) error {
	for day := from.UTC().Truncate(24 * time.Hour); !day.After(to); day = day.Add(24 * time.Hour) {
		for _, table := range RawTables() {
			if err := EnsurePartition(ctx, db, table, day); err != nil {
				return err
			}
		}
	}
	return nil
}

// Partition is one UTC day of a raw table.
type Partition struct {
	Table string
	Day   time.Time
}

// ListOldPartitions lists the partitions that lie wholly below the purge line.
func ListOldPartitions(ctx context.Context, db DB) ([]Partition, error) {
	rows, err := db.Query(ctx, listOldPartitions)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Partition, err error) {
		err = row.Scan(&p.Table, &p.Day)
		return p, err
	})
}

// DropPartition drops a partition that is empty and lies below the purge line,
// and reports whether it did. Error 55P03 means that readers are using the table.
func DropPartition(ctx context.Context, db DB, p Partition) (dropped bool, err error) {
	err = db.QueryRow(ctx, `SELECT drop_raw_partition($1, $2::date)`, p.Table, p.Day).Scan(&dropped)
	return dropped, err
}

// CountRowsBelowLine counts the raw rows of a kind that lie below the purge
// line. There should be none: such rows were not stored by a writer, and no
// aggregate counts them.
func CountRowsBelowLine(ctx context.Context, db DB, kind event.Kind) (n int64, err error) {
	err = db.QueryRow(ctx, fmt.Sprintf(`SELECT count(*) FROM %s WHERE "timestamp" < (SELECT purged_before FROM purge_line)`, RawTable(kind))).Scan(&n)
	return n, err
}

// CountRaw counts the raw rows of a kind from since to until, and the bytes of
// their table. Receipts say how many rows an aggregated hour has; rows are
// counted one by one only in hours without a receipt or with a mark.
func CountRaw(ctx context.Context, db DB, kind event.Kind, since, until time.Time) (rows, bytes int64, err error) {
	err = db.QueryRow(ctx, fmt.Sprintf(countRaw, RawTable(kind)), kind, since, until).Scan(&rows, &bytes)
	return rows, bytes, err
}

// CountTable counts the rows and the bytes of a table of aggregates.
func CountTable(ctx context.Context, db DB, table string) (rows, bytes int64, err error) {
	err = db.QueryRow(ctx, fmt.Sprintf(`SELECT count(*), pg_total_relation_size('%[1]s'::regclass) FROM %[1]s`, table)).Scan(&rows, &bytes)
	return rows, bytes, err
}

// EstimateRaw returns Postgres' own estimate of the rows of each raw table, and
// their bytes, without reading them.
func EstimateRaw(ctx context.Context, db DB, each func(table string, rows, bytes int64)) error {
	var table string
	var rows, bytes int64
	return queryRows(ctx, db, "estimate tables", estimateRaw, []any{RawTables()}, []any{&table, &rows, &bytes}, func() error {
		each(table, rows, bytes)
		return nil
	})
}

const (
	listOldPartitions = `
SELECT p.relname::text, to_date(right(c.relname, 8), 'YYYYMMDD')
  FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent IN ('performance_metrics'::regclass, 'usage_events'::regclass)
   AND c.relname ~ '_p[0-9]{8}$'
   AND (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC' <= (SELECT purged_before FROM purge_line)
 ORDER BY 2, 1`

	countRaw = `
WITH known AS (
    SELECT r.time_bucket, r.source_rows FROM hour_receipts r
     WHERE r.metric_type = $1 AND r.time_bucket >= (SELECT purged_before FROM purge_line)
       AND NOT EXISTS (SELECT FROM hour_marks m WHERE m.metric_type = $1 AND m.time_bucket = r.time_bucket)),
open AS (
    SELECT h FROM generate_series(greatest($2, (SELECT purged_before FROM purge_line)), $3, interval '1 hour') AS h
     WHERE NOT EXISTS (SELECT FROM known k WHERE k.time_bucket = h)
    UNION
    SELECT time_bucket FROM hour_marks WHERE metric_type = $1 AND time_bucket >= (SELECT purged_before FROM purge_line))
SELECT coalesce((SELECT sum(source_rows) FROM known), 0)::bigint
     + coalesce((SELECT sum(n) FROM open, LATERAL (SELECT count(*) AS n FROM %[1]s r
                  WHERE r."timestamp" >= open.h AND r."timestamp" < open.h + interval '1 hour') c), 0)::bigint,
       (SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint FROM pg_inherits WHERE inhparent = '%[1]s'::regclass)`

	estimateRaw = `
SELECT parent.name, coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint, coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
  FROM unnest($1::text[]) AS parent(name)
       LEFT JOIN pg_inherits i ON i.inhparent = to_regclass(parent.name) LEFT JOIN pg_class c ON c.oid = i.inhrelid
 GROUP BY 1 ORDER BY 1`
)
