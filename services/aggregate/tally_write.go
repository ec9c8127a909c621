package aggregate

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/pgbinary"
)

// columns are sums as arrays, one element per row to be written: an insert of
// any number of rows is one statement and joins others in one round trip.
type columns struct {
	app                     []string
	values, checksum, users []string // jsonb, numeric and int[] in their text form
	n, errors, anonymous    []int64
	successes, failures     []int64
	msSum, msMin, msMax     []float64
	histogram               [][]byte
}

// columns lays out sums for an insert.
func (t *tally) columns(sums []*sum) columns {
	var c columns
	for _, s := range sums {
		users := t.users.resolve(&s.users)
		values := t.appendValues(nil, s, len(users))
		c.app = append(c.app, s.app)
		c.values, c.checksum, c.users = append(c.values, string(values)), append(c.checksum, s.checksum.big().String()), append(c.users, arrayText(users))
		c.n, c.errors, c.anonymous = append(c.n, s.n), append(c.errors, s.errors), append(c.anonymous, s.anonymous)
		c.successes, c.failures = append(c.successes, s.successes), append(c.failures, s.failures)
		c.msSum, c.msMin, c.msMax = append(c.msSum, s.msSum), append(c.msMin, s.msMin), append(c.msMax, s.msMax)
		c.histogram = append(c.histogram, s.appendHistogram([]byte{})) // null is not what an empty one is
	}
	return c
}

// arrayText is an int[] in Postgres' text form.
func arrayText(numbers []int32) string {
	text := make([]byte, 0, 2+6*len(numbers))
	text = append(text, '{')
	for i, n := range numbers {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, int64(n), 10)
	}
	return string(append(text, '}'))
}

// appendHistogram appends the sum's histogram as it is stored.
func (s *sum) appendHistogram(dst []byte) []byte {
	if s.histogram != nil {
		return s.histogram.Append(dst)
	}
	return append(dst, s.encoded...)
}

// queueTotals queues the insert of apps' sums into aggregated_totals.
func (t *tally) queueTotals(b *pgx.Batch, resolution string, bucket time.Time) {
	if len(t.apps) == 0 {
		return
	}
	c := t.columns(slices.Collect(maps.Values(t.apps)))
	b.Queue(insertTotals, t.kind, bucket, c.app, c.values, c.n, c.checksum, c.errors, c.anonymous, c.successes, c.failures,
		c.msSum, c.msMin, c.msMax, c.histogram, c.users, resolution)
}

const insertTotals = `
INSERT INTO aggregated_totals (metric_type, time_bucket, app, aggregated_values, sample_count, id_checksum, error_count, anonymous_count, success_count,
       failure_count, response_time_sum, response_time_min, response_time_max, histogram, users, resolution)
SELECT $1, $2, app, v::jsonb, n, checksum::numeric, errors, anonymous, good, bad, total, least, most, histogram, users::int[], $16
  FROM unnest($3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[],
       $11::float8[], $12::float8[], $13::float8[], $14::bytea[], $15::text[])
    AS s (app, v, n, checksum, errors, anonymous, good, bad, total, least, most, histogram, users)`

// queueVersions queues when versions of apps were first seen. Nothing is
// written for a version that was known on that day already: hours would meet there.
func (t *tally) queueVersions(b *pgx.Batch, day time.Time) {
	if len(t.versions) == 0 {
		return
	}
	var apps, names []string
	var firsts []time.Time
	for _, v := range t.versions {
		apps, names, firsts = append(apps, v.app), append(names, v.version), append(firsts, pgbinary.Time(v.first))
	}
	b.Queue(upsertVersions, apps, names, firsts, day)
}

const upsertVersions = `
INSERT INTO app_versions AS v (app, app_version, first_seen, last_seen_on)
SELECT n.app, n.version, n.first_seen, $4::date FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS n (app, version, first_seen)
 WHERE NOT EXISTS (SELECT FROM app_versions o WHERE o.app = n.app AND o.app_version = n.version
                      AND o.first_seen <= n.first_seen AND o.last_seen_on >= $4::date)
 ORDER BY 1, 2
ON CONFLICT (app, app_version) DO UPDATE
   SET first_seen = least(v.first_seen, excluded.first_seen), last_seen_on = greatest(v.last_seen_on, excluded.last_seen_on)`
