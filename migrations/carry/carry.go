package carry

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/stats"
)

// From is the version of the schema from which Run moves, and To the one that
// drops the older tables.
const (
	From = 5
	To   = 6
)

// bucket is an hour or a day of a kind that is to be copied.
type bucket struct {
	resolution metricsdb.Resolution
	kind       event.Kind
	start      time.Time
	at         time.Time // of its receipt
}

// Run copies what is not copied yet, oldest first, and returns how many hours and
// days that were. What is aggregated meanwhile may be left: call it again.
func Run(ctx context.Context, conn *pgx.Conn) (int, error) {
	todo, err := list(ctx, conn)
	if err != nil {
		return 0, err
	}
	c := &carrier{names: map[string]int32{}, keys: map[metricsdb.Key]int32{}}
	for i, b := range todo {
		if err := c.copyAgain(ctx, conn, b); err != nil {
			return i, fmt.Errorf("carry over the %s %s of %s: %w", b.resolution, b.start.Format(time.RFC3339), b.kind, err)
		}
	}
	return len(todo), nil
}

func list(ctx context.Context, conn *pgx.Conn) ([]bucket, error) {
	rows, err := conn.Query(ctx, listBuckets)
	if err != nil {
		return nil, fmt.Errorf("list what is to be carried over: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (b bucket, err error) {
		err = row.Scan(&b.resolution, &b.kind, &b.start, &b.at)
		b.start = b.start.UTC()
		return b, err
	})
}

// carrier remembers the numbers of names and keys that it has committed.
type carrier struct {
	names map[string]int32
	keys  map[metricsdb.Key]int32
}

// copyAgain copies a bucket, again after a clash with an aggregation run.
func (c *carrier) copyAgain(ctx context.Context, conn *pgx.Conn, b bucket) error {
	const attempts = 10
	for try := 1; ; try++ {
		err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error { return c.copy(ctx, tx, b) })
		pg, ok := errors.AsType[*pgconn.PgError](err)
		if !ok || pg.Code != "40001" && pg.Code != "40P01" || try == attempts {
			return err
		}
		clear(c.names) // some were of the transaction that failed
		clear(c.keys)
		if err := sleep(ctx, time.Duration(try)*20*time.Millisecond); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (c *carrier) copy(ctx context.Context, tx pgx.Tx, b bucket) error {
	if _, err := tx.Exec(ctx, mark, b.resolution, b.kind, b.start, b.at); err != nil {
		return err
	}
	target, source := metricsdb.HoursTable, "aggregated_metrics"
	if b.resolution == metricsdb.ByDay {
		target, source = metricsdb.DaysTable, "aggregated_days"
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf(`DELETE FROM %s WHERE metric_type = $1 AND starts_at = $2`, target), b.kind, b.start); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM aggregate_totals WHERE resolution = $1 AND metric_type = $2 AND starts_at = $3`, b.resolution, b.kind, b.start); err != nil {
		return err
	}
	keys, err := read(ctx, tx, fmt.Sprintf(selectKeys, source), b.kind, b.start)
	if err != nil {
		return err
	}
	apps, err := read(ctx, tx, selectApps, b.kind, b.start, b.resolution)
	if err != nil {
		return err
	}
	if err := c.number(ctx, tx, b.kind, keys, apps); err != nil {
		return err
	}
	return c.write(ctx, tx, b, target, keys, apps)
}

func (c *carrier) write(ctx context.Context, tx pgx.Tx, b bucket, target string, keys, apps []older) error {
	byApp := map[string][]metricsdb.Aggregate{}
	for i := range keys {
		a, err := c.convert(&keys[i])
		if err != nil {
			return err
		}
		a.Key = c.keys[keys[i].key]
		byApp[keys[i].key.App] = append(byApp[keys[i].key.App], a)
	}
	var pages metricsdb.Pages
	for app, list := range byApp {
		pages.Add(b.kind, b.start, app, 0, list)
	}
	var totals metricsdb.Totals
	for i := range apps {
		a, err := c.convert(&apps[i])
		if err != nil {
			return err
		}
		a.EventTypes, a.Pages = c.encode(apps[i].values.EventTypes), c.encode(apps[i].values.PageViews)
		totals.Add(b.resolution, b.kind, b.start, apps[i].key.App, a)
	}
	if err := pages.Write(ctx, tx, target); err != nil {
		return err
	}
	return totals.Write(ctx, tx)
}

// older is a row of the older tables.
type older struct {
	key       metricsdb.Key
	aggregate metricsdb.Aggregate
	histogram []byte
	users     []int32
	values    values
}

// values are the distributions in aggregated_values.
type values struct {
	StatusCodes map[string]uint64 `json:"status_code_distribution"`
	ErrorTypes  map[string]uint64 `json:"error_type_distribution"`
	Pages       map[string]uint64 `json:"event_count_by_page"`
	Elements    map[string]uint64 `json:"event_count_by_element"`
	EventTypes  map[string]uint64 `json:"event_count_by_type"`
	PageViews   map[string]uint64 `json:"page_views"`
}

func read(ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]older, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (o older, err error) {
		var text []byte
		a := &o.aggregate
		err = row.Scan(&o.key.Kind, &o.key.App, &o.key.Path, &o.key.Method, &o.key.EventType, &text, &a.Samples, &a.Errors, &a.Anonymous,
			&a.Successes, &a.Failures, &a.Sum, &a.Min, &a.Max, &o.histogram, &o.users)
		if err == nil {
			err = json.Unmarshal(text, &o.values)
		}
		return o, err
	})
}

// number gives names and keys that are new their numbers.
func (c *carrier) number(ctx context.Context, tx pgx.Tx, kind event.Kind, lists ...[]older) error {
	var names []string
	var keys []metricsdb.Key
	for i, list := range lists {
		for _, o := range list {
			for _, counts := range []map[string]uint64{o.values.ErrorTypes, o.values.Pages, o.values.Elements, o.values.EventTypes, o.values.PageViews} {
				for name := range counts {
					if _, known := c.names[name]; !known {
						c.names[name] = 0 // asked for once
						names = append(names, name)
					}
				}
			}
			if _, known := c.keys[o.key]; i == 0 && !known {
				c.keys[o.key] = 0
				keys = append(keys, o.key)
			}
		}
	}
	numbers, err := metricsdb.NumberNames(ctx, tx, names)
	if err != nil {
		return err
	}
	for i, name := range names {
		c.names[name] = numbers[i]
	}
	if numbers, err = metricsdb.NumberKeys(ctx, tx, kind, keys); err != nil {
		return err
	}
	for i, key := range keys {
		c.keys[key] = numbers[i]
	}
	return nil
}

// otherName is the name under which the older rows count what they did not keep.
const otherName = "(other)"

func (c *carrier) encode(counts map[string]uint64) []byte {
	list := make([]stats.Count, 0, len(counts))
	for name, n := range counts {
		item := uint32(c.names[name]) // positive
		if name == otherName {
			item = 0
		}
		list = append(list, stats.Count{Item: item, N: n})
	}
	return stats.AppendCounts(nil, list)
}

func (c *carrier) convert(o *older) (metricsdb.Aggregate, error) {
	a := o.aggregate
	a.Users = stats.AppendUsers(nil, o.users)
	a.ErrorTypes, a.Pages, a.Elements = c.encode(o.values.ErrorTypes), c.encode(o.values.Pages), c.encode(o.values.Elements)
	var codes []stats.Count
	for code, n := range o.values.StatusCodes {
		var item uint32
		if _, err := fmt.Sscan(code, &item); err != nil {
			return a, fmt.Errorf("status code %q: %w", code, err)
		}
		codes = append(codes, stats.Count{Item: item, N: n})
	}
	a.Statuses = stats.AppendCounts(nil, codes)
	var err error
	a.Histogram, err = convertHistogram(o.histogram, a.Min, a.Max)
	return a, err
}

// Of a histogram of schema 4: words of eight bytes, big-endian, the bucket in the
// upper 16 bits and its count below. Bucket 0 was below 0.1 ms, bucket 880 from an
// hour on; bucket n between them is bucket n + 234 now.
const (
	wordSize   = 8
	countBits  = 48
	olderLast  = 880
	olderShift = 234
)

func convertHistogram(data []byte, least, most float64) ([]byte, error) {
	if len(data)%wordSize != 0 {
		return nil, fmt.Errorf("a histogram of %d bytes", len(data))
	}
	var h stats.Histogram
	for ; len(data) > 0; data = data[wordSize:] {
		word := binary.BigEndian.Uint64(data)
		n := word & (1<<countBits - 1)
		switch b := int(word >> countBits); {
		case b == 0 && most <= 0:
			h.AddCount(stats.Zero, n, least, most)
		case b == 0:
			h.AddCount(stats.Low, n, least, most)
		case b < olderLast:
			h.AddCount(b+olderShift, n, least, most)
		case b == olderLast:
			h.AddCount(stats.High, n, least, most)
		default:
			return nil, fmt.Errorf("a histogram with a bucket %d", b)
		}
	}
	return h.Append(nil), nil
}

const (
	listBuckets = `
SELECT resolution, metric_type, time_bucket, aggregated_at FROM (
    SELECT 'hour' AS resolution, metric_type, time_bucket, aggregated_at FROM hour_receipts WHERE source_rows > 0
    UNION ALL SELECT 'day', metric_type, time_bucket, aggregated_at FROM day_receipts) AS r
 WHERE NOT EXISTS (SELECT FROM aggregates_carried c WHERE c.resolution = r.resolution AND c.metric_type = r.metric_type
                      AND c.time_bucket = r.time_bucket AND c.aggregated_at = r.aggregated_at)
 ORDER BY time_bucket, resolution, metric_type`

	mark = `
INSERT INTO aggregates_carried (resolution, metric_type, time_bucket, aggregated_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (resolution, metric_type, time_bucket) DO UPDATE SET aggregated_at = excluded.aggregated_at`

	olderColumns = `aggregated_values::text, sample_count, error_count, anonymous_count, success_count, failure_count, response_time_sum,
       response_time_min, response_time_max, histogram, users`

	selectKeys = `
SELECT metric_type, app, endpoint_path, method, event_type, ` + olderColumns + ` FROM %s WHERE metric_type = $1 AND time_bucket = $2`

	selectApps = `
SELECT metric_type, app, '', '', '', ` + olderColumns + ` FROM aggregated_totals WHERE metric_type = $1 AND time_bucket = $2 AND resolution = $3`
)
