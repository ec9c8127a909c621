package aggregate

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// sumDay sums up the hours of one UTC day and kind, unless that is done, or not
// all of them are aggregated. It reports whether it did.
func (s *store) sumDay(ctx context.Context, tx pgx.Tx, d day, runID any) (bool, error) {
	var ready bool
	if err := tx.QueryRow(ctx, dayReady, d.kind, d.start).Scan(&ready); err != nil || !ready {
		return false, err
	}
	t := newTally(d.kind, &userIndex{asNumbers: true})
	if err := t.readHours(ctx, tx, d); err != nil {
		return false, fmt.Errorf("read the day's hours: %w", err)
	}
	if err := s.at(ctx, "day read"); err != nil {
		return false, err
	}
	if _, err := tx.Exec(ctx, clearDays, d.kind, []time.Time{d.start}); err != nil {
		return false, fmt.Errorf("clear the day: %w", err)
	}
	b := &pgx.Batch{}
	if err := t.writeDay(ctx, tx, b, d.start, runID); err != nil {
		return false, err
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return false, fmt.Errorf("write the day: %w", err)
	}
	return true, s.at(ctx, "day written")
}

// writeDay writes the keys of a day that has been cleared, and queues the rest
// of what it comes to, and its receipt.
func (t *tally) writeDay(ctx context.Context, tx pgx.Tx, b *pgx.Batch, start time.Time, runID any) error {
	var rows keyRows
	if err := rows.add(t, tx.Conn().TypeMap(), start, t.keys); err != nil {
		return err
	}
	if err := rows.write(ctx, tx, "aggregated_days"); err != nil {
		return fmt.Errorf("write the day's keys: %w", err)
	}
	t.queueTotals(b, "day", start)
	b.Queue(writeDayReceipt, t.kind, start, t.rows, runID)
	return nil
}

// addHour adds an hour that is finished to the day's tally: what reading the
// hour back from its rows would add.
func (t *tally) addHour(hour *tally) error {
	for _, o := range hour.keys {
		if err := t.sumFor(o, false).absorb(o); err != nil {
			return err
		}
	}
	for _, o := range hour.apps {
		if err := t.sumFor(o, true).absorb(o); err != nil {
			return err
		}
	}
	t.rows += hour.rows
	return nil
}

// readHours adds the day's hours, key by key and app by app. Counts and
// histograms are added, sets of users united, distributions added by item.
func (t *tally) readHours(ctx context.Context, tx pgx.Tx, d day) error {
	for _, sql := range []string{readDayKeys, readDayTotals} {
		rows, err := tx.Query(ctx, sql, d.kind, d.start)
		if err != nil {
			return err
		}
		if err := t.readSums(rows, sql == readDayTotals); err != nil {
			return err
		}
	}
	for _, s := range t.keys {
		t.rows += s.n
	}
	return nil
}

// readSums adds rows that are sums already.
func (t *tally) readSums(rows pgx.Rows, totals bool) error {
	defer rows.Close()
	for rows.Next() {
		var o sum
		var values []byte
		var check pgtype.Numeric
		err := rows.Scan(&o.app, &o.path, &o.method, &o.eventType, &values, &o.n, &check, &o.errors, &o.anonymous, &o.successes,
			&o.failures, &o.msSum, &o.msMin, &o.msMax, &o.encoded, nil)
		if err != nil {
			return err
		}
		if o.checksum, err = asChecksum(check); err != nil {
			return err
		}
		s := t.sumFor(&o, totals)
		if err := s.absorb(&o); err != nil {
			return err
		}
		users := rows.RawValues()
		if err := s.users.AddBinary(users[len(users)-1]); err != nil {
			return err
		}
		if err := s.addValues(values); err != nil {
			return err
		}
	}
	return rows.Err()
}

// sumFor is the day's sum that an hour's belongs to: of its key, or of its app.
func (t *tally) sumFor(o *sum, total bool) *sum {
	if !total {
		return t.key([]byte(o.app), []byte(o.path+o.eventType), []byte(o.method))
	}
	return t.app(o.app)
}

// addValues adds the distributions in aggregated_values.
func (s *sum) addValues(values []byte) error {
	var all struct {
		StatusCodes map[string]int64 `json:"status_code_distribution"`
		ErrorTypes  map[string]int64 `json:"error_type_distribution"`
		Pages       map[string]int64 `json:"event_count_by_page"`
		Elements    map[string]int64 `json:"event_count_by_element"`
		EventTypes  map[string]int64 `json:"event_count_by_type"`
		PageViews   map[string]int64 `json:"page_views"`
	}
	if err := json.Unmarshal(values, &all); err != nil {
		return fmt.Errorf("values of %s: %w", s.app, err)
	}
	for d, items := range [distributions]map[string]int64{
		statusCodes: all.StatusCodes, errorTypes: all.ErrorTypes, pages: all.Pages, elements: all.Elements,
		eventTypes: all.EventTypes, pageViews: all.PageViews,
	} {
		for item, n := range items {
			s.distributions[d].add(item, n)
		}
	}
	return nil
}

// asChecksum reads a numeric without decimals.
func asChecksum(n pgtype.Numeric) (checksum, error) {
	if !n.Valid || n.NaN || n.Exp < 0 {
		return checksum{}, fmt.Errorf("checksum %v is no whole number", n)
	}
	whole := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n.Exp)), nil)
	return checksum{rest: whole.Mul(whole, n.Int)}, nil
}

// daysToSum lists the closed days that have receipts of hours and no receipt of
// their own, oldest first.
func (s *store) daysToSum(ctx context.Context, now time.Time) ([]day, error) {
	rows, err := s.pool.Query(ctx, openDays, now)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d day, err error) {
		err = row.Scan(&d.kind, &d.start)
		d.start = d.start.UTC()
		return d, err
	})
}

const (
	openDays = `
SELECT h.metric_type, h.day
  FROM (SELECT metric_type, date_trunc('day', time_bucket, 'UTC') AS day FROM hour_receipts GROUP BY 1, 2) h
 WHERE h.day + interval '24 hours' <= $1
   AND NOT EXISTS (SELECT FROM day_receipts d WHERE d.metric_type = h.metric_type AND d.time_bucket = h.day)
 ORDER BY 2, 1`

	// An hour below the purge line without a receipt was empty; but a day without
	// any has been forgotten since it was listed, by another run.
	dayReady = `
SELECT EXISTS (SELECT FROM hour_receipts WHERE metric_type = $1 AND time_bucket >= $2 AND time_bucket < $2 + interval '24 hours')
   AND NOT EXISTS (SELECT FROM day_receipts WHERE metric_type = $1 AND time_bucket = $2)
   AND NOT EXISTS (SELECT FROM hour_marks WHERE metric_type = $1 AND time_bucket >= $2 AND time_bucket < $2 + interval '24 hours')
   AND NOT EXISTS (
       SELECT FROM generate_series($2::timestamptz, $2 + interval '23 hours', interval '1 hour') AS h
        WHERE h >= (SELECT purged_before FROM purge_line)
          AND NOT EXISTS (SELECT FROM hour_receipts WHERE metric_type = $1 AND time_bucket = h))`

	sumsOf = `aggregated_values, sample_count, id_checksum, error_count, anonymous_count, success_count, failure_count,
       response_time_sum, response_time_min, response_time_max, histogram, users`

	readDayKeys = `
SELECT app, endpoint_path, method, event_type, ` + sumsOf + ` FROM aggregated_metrics
 WHERE metric_type = $1 AND time_bucket >= $2 AND time_bucket < $2 + interval '24 hours' ORDER BY time_bucket`

	readDayTotals = `
SELECT app, '', '', '', ` + sumsOf + ` FROM aggregated_totals
 WHERE resolution = 'hour' AND metric_type = $1 AND time_bucket >= $2 AND time_bucket < $2 + interval '24 hours' ORDER BY time_bucket`

	writeDayReceipt = `
INSERT INTO day_receipts (metric_type, time_bucket, source_rows, run_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (metric_type, time_bucket) DO UPDATE
   SET source_rows = excluded.source_rows, run_id = excluded.run_id, aggregated_at = now()`
)
