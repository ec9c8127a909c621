package metricsdb

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/pgbinary"
)

// The tables of aggregates.
const (
	HoursTable  = "aggregate_hours"
	DaysTable   = "aggregate_days"
	TotalsTable = "aggregate_totals"
)

// AggregateTables lists the tables of aggregates.
func AggregateTables() []string { return []string{HoursTable, DaysTable, TotalsTable} }

// Resolution says what a row of totals is about.
type Resolution string

// The resolutions.
const (
	ByHour Resolution = "hour"
	ByDay  Resolution = "day"
)

// Aggregate is what events of one key, or of one app, come to in a stretch of
// time. The encodings are those of pkg/stats.
type Aggregate struct {
	Key int32 // of aggregate_keys; 0 in totals

	Samples             int64
	Errors, Anonymous   int64 // performance
	Successes, Failures int64 // usage
	Sum, Min, Max       float64
	Histogram, Users    []byte

	Statuses, ErrorTypes []byte // performance
	Pages, Elements      []byte // usage, of a key
	EventTypes           []byte // usage, of an app
}

// PageKeys is how many keys a row holds at most.
const PageKeys = 256

// Pages are rows of aggregate_hours or aggregate_days in the binary form of COPY.
type Pages struct {
	b []byte
	n int
}

// Add adds the keys of one app and stretch of time. number is the first page's.
func (p *Pages) Add(kind event.Kind, startsAt time.Time, app string, number int, list []Aggregate) {
	slices.SortFunc(list, func(a, b Aggregate) int { return cmp.Compare(a.Key, b.Key) })
	for part := range slices.Chunk(list, PageKeys) {
		p.add(kind, startsAt, app, number, part)
		number++
	}
}

const pageColumns = `metric_type, starts_at, app, page, key_numbers, sample_counts, error_counts, anonymous_counts, success_counts,
     failure_counts, response_time_sums, response_time_mins, response_time_maxs, histograms, users, status_codes, error_types, pages, elements`

func (p *Pages) add(kind event.Kind, startsAt time.Time, app string, number int, list []Aggregate) {
	const fields = 19
	if p.b == nil {
		p.b = append([]byte{}, pgbinary.CopyHeader...)
	}
	b := pgbinary.AppendRow(p.b, fields)
	b = pgbinary.AppendText(b, string(kind))
	b = pgbinary.AppendTime(b, startsAt)
	b = pgbinary.AppendText(b, app)
	b = pgbinary.AppendInt2(b, int16(number)) // an app has fewer keys than 256 times that
	b = pgbinary.AppendInt4Array(b, collect(list, func(a *Aggregate) int32 { return a.Key }))
	b = pgbinary.AppendInt8Array(b, collect(list, func(a *Aggregate) int64 { return a.Samples }), false)
	for _, get := range []func(*Aggregate) int64{
		func(a *Aggregate) int64 { return a.Errors }, func(a *Aggregate) int64 { return a.Anonymous },
		func(a *Aggregate) int64 { return a.Successes }, func(a *Aggregate) int64 { return a.Failures },
	} {
		b = pgbinary.AppendInt8Array(b, collect(list, get), true)
	}
	for _, get := range []func(*Aggregate) float64{
		func(a *Aggregate) float64 { return a.Sum }, func(a *Aggregate) float64 { return a.Min }, func(a *Aggregate) float64 { return a.Max },
	} {
		b = pgbinary.AppendFloat8Array(b, collect(list, get))
	}
	for _, get := range []func(*Aggregate) []byte{
		func(a *Aggregate) []byte { return a.Histogram }, func(a *Aggregate) []byte { return a.Users },
		func(a *Aggregate) []byte { return a.Statuses }, func(a *Aggregate) []byte { return a.ErrorTypes },
		func(a *Aggregate) []byte { return a.Pages }, func(a *Aggregate) []byte { return a.Elements },
	} {
		b = pgbinary.AppendByteaArray(b, collect(list, get))
	}
	p.b = b
	p.n++
}

func collect[T any](list []Aggregate, get func(*Aggregate) T) []T {
	out := make([]T, len(list))
	for i := range list {
		out[i] = get(&list[i])
	}
	return out
}

// Write copies the pages into a table.
func (p *Pages) Write(ctx context.Context, tx pgx.Tx, table string) error {
	return copyRows(ctx, tx, table+" ("+pageColumns+")", p.b, p.n)
}

// Totals are rows of aggregate_totals in the binary form of COPY.
type Totals struct {
	b []byte
	n int
}

const totalColumns = `resolution, metric_type, starts_at, app, sample_count, error_count, anonymous_count, success_count, failure_count,
     response_time_sum, response_time_min, response_time_max, histogram, users, status_codes, event_types, page_views`

// Add adds what an app comes to.
func (t *Totals) Add(r Resolution, kind event.Kind, startsAt time.Time, app string, a Aggregate) {
	const fields = 17
	if t.b == nil {
		t.b = append([]byte{}, pgbinary.CopyHeader...)
	}
	b := pgbinary.AppendRow(t.b, fields)
	b = pgbinary.AppendText(b, string(r))
	b = pgbinary.AppendText(b, string(kind))
	b = pgbinary.AppendTime(b, startsAt)
	b = pgbinary.AppendText(b, app)
	for _, n := range [...]int64{a.Samples, a.Errors, a.Anonymous, a.Successes, a.Failures} {
		b = pgbinary.AppendInt8(b, n)
	}
	for _, v := range [...]float64{a.Sum, a.Min, a.Max} {
		b = pgbinary.AppendFloat8(b, v)
	}
	for _, data := range [...][]byte{a.Histogram, a.Users, a.Statuses, a.EventTypes, a.Pages} {
		b = pgbinary.AppendText(b, string(data))
	}
	t.b = b
	t.n++
}

// Write copies the totals into their table.
func (t *Totals) Write(ctx context.Context, tx pgx.Tx) error {
	return copyRows(ctx, tx, TotalsTable+" ("+totalColumns+")", t.b, t.n)
}

func copyRows(ctx context.Context, tx pgx.Tx, into string, rows []byte, n int) error {
	if n == 0 {
		return nil
	}
	_, err := tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(append(rows, pgbinary.CopyTrailer...)), "COPY "+into+" FROM STDIN (FORMAT binary)")
	if err != nil {
		return fmt.Errorf("copy into %s: %w", into, err)
	}
	return nil
}

// KeyRows is the SQL that makes a row of each key in the pages p of
// aggregate_hours or aggregate_days.
const KeyRows = `unnest(p.key_numbers, p.sample_counts, p.error_counts, p.anonymous_counts, p.success_counts, p.failure_counts, p.response_time_sums,
       p.response_time_mins, p.response_time_maxs, p.histograms, p.users, p.status_codes, p.error_types, p.pages, p.elements)
    AS a (key_number, sample_count, error_count, anonymous_count, success_count, failure_count, response_time_sum,
       response_time_min, response_time_max, histogram, users, status_codes, error_types, pages, elements)`

// Key is what aggregates are told apart by. The fields that do not apply to its
// kind are empty, as is the version of events without one.
type Key struct {
	Kind                                  event.Kind
	App, Path, Method, EventType, Version string
}

// NumberKeys returns the numbers of keys of one kind, made for those that are new.
func NumberKeys(ctx context.Context, tx pgx.Tx, kind event.Kind, keys []Key) ([]int32, error) {
	n := len(keys)
	apps, paths, methods, types, versions := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, k := range keys {
		apps[i], paths[i], methods[i], types[i], versions[i] = k.App, k.Path, k.Method, k.EventType, k.Version
	}
	return queryNumbers(ctx, tx, "number keys", n, numberKeys, kind, apps, paths, methods, types, versions)
}

// NumberNames returns the numbers of names, made for those that are new.
func NumberNames(ctx context.Context, tx pgx.Tx, names []string) ([]int32, error) {
	return queryNumbers(ctx, tx, "number names", len(names), numberNames, names)
}

// ReadNames returns the names that numbers stand for.
func ReadNames(ctx context.Context, db DB, numbers []uint32) (map[uint32]string, error) {
	wanted := make([]int32, len(numbers))
	for i, n := range numbers {
		wanted[i] = int32(n) // numbers are below 2^31
	}
	names := make(map[uint32]string, len(numbers))
	var number int32
	var name string
	err := queryRows(ctx, db, "read names", `SELECT name_number, name FROM aggregate_names WHERE name_number = ANY($1)`, []any{wanted},
		[]any{&number, &name}, func() error {
			names[uint32(number)] = name // positive
			return nil
		})
	return names, err
}

// NumberUsers returns the numbers of users, made for those that are new.
func NumberUsers(ctx context.Context, tx pgx.Tx, users []string) ([]int32, error) {
	return queryNumbers(ctx, tx, "number users", len(users), numberUsers, users)
}

// queryNumbers reads rows of a place, from 1, and a number.
func queryNumbers(ctx context.Context, tx pgx.Tx, what string, n int, sql string, args ...any) ([]int32, error) {
	numbers := make([]int32, n)
	if n == 0 {
		return numbers, nil
	}
	left := n
	var place int
	var number int32
	err := queryRows(ctx, tx, what, sql, args, []any{&place, &number}, func() error {
		numbers[place-1] = number
		left--
		return nil
	})
	if err == nil && left != 0 {
		err = fmt.Errorf("%s: %d got none", what, left)
	}
	return numbers, err
}

// Numbers are spent only on what is new: a conflict would spend one too.
const (
	numberUsers = `
WITH wanted AS MATERIALIZED (SELECT user_id, place FROM unnest($1::text[]) WITH ORDINALITY AS w (user_id, place)),
known AS (SELECT user_id, user_number FROM user_numbers WHERE user_id = ANY($1)),
fresh AS (
    INSERT INTO user_numbers (user_id)
    SELECT user_id FROM wanted WHERE NOT EXISTS (SELECT FROM known WHERE known.user_id = wanted.user_id) ORDER BY user_id
    ON CONFLICT DO NOTHING RETURNING user_id, user_number)
SELECT place, user_number FROM wanted JOIN (SELECT * FROM known UNION ALL SELECT * FROM fresh) AS n USING (user_id)`

	numberNames = `
WITH wanted AS MATERIALIZED (SELECT name, place FROM unnest($1::text[]) WITH ORDINALITY AS w (name, place)),
known AS (SELECT name, name_number FROM aggregate_names WHERE name = ANY($1)),
fresh AS (
    INSERT INTO aggregate_names (name)
    SELECT name FROM wanted WHERE NOT EXISTS (SELECT FROM known WHERE known.name = wanted.name) ORDER BY name
    ON CONFLICT DO NOTHING RETURNING name, name_number)
SELECT place, name_number FROM wanted JOIN (SELECT * FROM known UNION ALL SELECT * FROM fresh) AS n USING (name)`

	numberKeys = `
WITH wanted AS MATERIALIZED (SELECT * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
    WITH ORDINALITY AS w (app, endpoint_path, method, event_type, app_version, place)),
known AS (SELECT k.key_number, w.place FROM wanted w JOIN aggregate_keys k
    ON k.metric_type = $1 AND k.app = w.app AND k.endpoint_path = w.endpoint_path AND k.method = w.method
   AND k.event_type = w.event_type AND k.app_version = w.app_version),
fresh AS (
    INSERT INTO aggregate_keys (metric_type, app, endpoint_path, method, event_type, app_version)
    SELECT $1, app, endpoint_path, method, event_type, app_version FROM wanted
     WHERE NOT EXISTS (SELECT FROM known WHERE known.place = wanted.place) ORDER BY 2, 3, 4, 5, 6
    ON CONFLICT DO NOTHING RETURNING *)
SELECT place, key_number FROM known
UNION ALL
SELECT w.place, f.key_number FROM wanted w JOIN fresh f USING (app, endpoint_path, method, event_type, app_version)`
)
