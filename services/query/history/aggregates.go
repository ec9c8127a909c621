package history

import (
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// This file, and receipts.go, hold all SQL over the tables of aggregates. What the
// rest of the package needs from them is the functions below. Each appends
// SELECTs of a fixed row shape for the aggregated part of a plan, joined by UNION
// ALL, and reports whether it appended any; the callers append the raw rows of
// the plan in the same shape. Where an answer is not selected in parts, a whole
// statement is returned.

// aggregateTime is the column of aggregates that says when: the start of the part of an
// hour, or of the day.
const aggregateTime = `starts_at`

// tables is a pair of aggregates of the same columns, and the alias these have.
type tables struct{ hours, days, alias string }

var (
	// tablesByKey has a row per endpoint, method and version, or per event type and version.
	tablesByKey = tables{hours: keysOf(metricsdb.HoursTable), days: keysOf(metricsdb.DaysTable), alias: "a"}
	// tablesByApp has a row per app.
	tablesByApp = tables{
		hours: metricsdb.TotalsTable + ` AS p WHERE resolution = 'hour' AND `,
		days:  metricsdb.TotalsTable + ` AS p WHERE resolution = 'day' AND `,
		alias: "p",
	}
)

// keysOf joins the keys of pages to what they stand for.
func keysOf(table string) string {
	return table + ` AS p, ` + metricsdb.KeyRows + ` JOIN aggregate_keys AS k USING (key_number) WHERE `
}

// smallestTables returns the smallest tables that can be narrowed to a filter.
func smallestTables(kind event.Kind, f snapshot.Filter) tables {
	if kind == event.KindPerformance && (f.Endpoint != "" || f.Method != "") || kind == event.KindUsage && f.EventType != "" {
		return tablesByKey
	}
	return tablesByApp
}

// aggregates appends a select of columns for each of the tier's tables that the
// reading needs, joined by UNION ALL, and reports whether it appended any. The
// columns are appended by a function because buckets are among them.
func aggregates(s *snapshot.Statement, t tables, kind event.Kind, f snapshot.Filter, r Plan, columns func()) bool {
	some := false
	for _, part := range []struct {
		table string
		spans []snapshot.Span
	}{{t.days, r.days}, {t.hours, r.hours}} {
		if len(part.spans) == 0 {
			continue
		}
		if some {
			s.Add(` UNION ALL `)
		}
		some = true
		s.Add(`SELECT `)
		columns()
		s.Add(` FROM `+part.table+`p.metric_type = ? AND `, string(kind)).In(aggregateTime, part.spans).MatchAppOf("p.app", f)
		if kind == event.KindPerformance {
			s.Equal("endpoint_path", f.Endpoint).Equal("method", f.Method)
		} else {
			s.Equal("event_type", f.EventType)
		}
	}
	return some
}

// selectRequestParts appends the keys and then a part of requests that can be
// merged: sample count, errors, anonymous requests, sum, least and greatest
// response time, encoded histogram.
func selectRequestParts(s *snapshot.Statement, t tables, f snapshot.Filter, r Plan, keys ...keyColumn) bool {
	return aggregates(s, t, event.KindPerformance, f, r, func() {
		for _, k := range keys {
			k.aggregate(s)
			s.Add(`, `)
		}
		s.Add(`sample_count, coalesce(error_count, 0), coalesce(anonymous_count, 0), coalesce(response_time_sum, 0),
			coalesce(response_time_min, 0), coalesce(response_time_max, 0), NULL::int, coalesce(histogram, '')`)
	})
}

// endpointColumns are the keys by which endpoints are told apart.
var endpointColumns = []keyColumn{column(`p.app`, `app`), column(`endpoint_path`, `endpoint`), column(`method`, `method`)}

// keyColumn is the bucket as a key.
func (b Buckets) keyColumn() keyColumn {
	return keyColumn{
		aggregate: func(s *snapshot.Statement) { b.column(s, aggregateTime) },
		raw:       func(s *snapshot.Statement) { b.column(s, snapshot.RawTime) },
	}
}

// selectTrends appends app, endpoint, method, start of the slice, requests.
func selectTrends(s *snapshot.Statement, f snapshot.Filter, r Plan, cut TrendSlices) bool {
	if !r.aggregated() {
		return false
	}
	s.Add(`SELECT app, endpoint_path, method, date_bin(?::interval, starts_at, ?), sum(sample_count)::bigint FROM (`, cut.Width, cut.from)
	aggregates(s, tablesByKey, event.KindPerformance, f, r, func() { s.Add(`p.app, endpoint_path, method, starts_at, sample_count`) })
	s.Add(`) AS part GROUP BY 1, 2, 3, 4`)
	return true
}

// outcomesStatement returns counts of status codes and counts of error types, as they
// are stored.
func outcomesStatement(f snapshot.Filter, r Plan) *snapshot.Statement {
	var st snapshot.Statement
	aggregates(&st, tablesByKey, event.KindPerformance, f, r, func() { st.Add(`a.status_codes, a.error_types`) })
	return &st
}

// hourOfPart is the SQL of the hour that a part belongs to.
const hourOfPart = `date_bin('1 hour', starts_at, 'epoch')`

// slowHoursStatement returns start and end of the n hours whose slowest request
// is slowest.
func slowHoursStatement(f snapshot.Filter, r Plan, n int) *snapshot.Statement {
	var st snapshot.Statement
	st.Add(`SELECT hour, hour + interval '1 hour' FROM (`)
	aggregates(&st, tablesByKey, event.KindPerformance, f, r, func() { st.Add(hourOfPart + ` AS hour, response_time_max`) })
	return st.Add(`) AS part GROUP BY hour ORDER BY max(response_time_max) DESC LIMIT ?`, n)
}

// eventPartsStatement returns event type, events, successes, failures and, with
// lists, counts by page (of events of the filter's page type) and by element, as they
// are stored; without them NULL.
func eventPartsStatement(f snapshot.Filter, r Plan, lists bool) *snapshot.Statement {
	var st snapshot.Statement
	aggregates(&st, tablesByKey, event.KindUsage, f, r, func() {
		st.Add(`event_type, sample_count, coalesce(success_count, 0), coalesce(failure_count, 0)`)
		if lists {
			st.Add(`, CASE WHEN event_type = ? THEN a.pages END, a.elements`, pageType(f))
		} else {
			st.Add(`, NULL, NULL`)
		}
	})
	return &st
}

// selectEventCounts appends bucket, event type, events.
func selectEventCounts(s *snapshot.Statement, f snapshot.Filter, r Plan, b Buckets) bool {
	if !r.aggregated() {
		return false
	}
	s.Add(`SELECT bucket, event_type, sum(sample_count)::bigint FROM (`)
	aggregates(s, tablesByKey, event.KindUsage, f, r, func() {
		b.column(s, aggregateTime).Add(` AS bucket, event_type, sample_count`)
	})
	s.Add(`) AS part GROUP BY 1, 2`)
	return true
}

// selectUsers appends bucket, of events?, any anonymous?, the stored set of users, NULL
// (their numbers and names, which raw rows have). Without buckets the bucket is the epoch.
func selectUsers(s *snapshot.Statement, kind event.Kind, f snapshot.Filter, r Plan, b *Buckets) bool {
	t := smallestTables(kind, f)
	return aggregates(s, t, kind, f, r, func() {
		bucketColumn(s, b, aggregateTime).Add(` AS bucket, ?::boolean, coalesce(anonymous_count, 0) > 0, coalesce(`+t.alias+`.users, ''), NULL::int[], NULL::text[]`, kind == event.KindUsage)
	})
}

// selectApps appends true (only the hour is known), app, events, start of the last hour.
func selectApps(s *snapshot.Statement, kind event.Kind, r Plan) bool {
	if !r.aggregated() {
		return false
	}
	s.Add(`SELECT true, app, sum(sample_count)::bigint, date_bin('1 hour', max(starts_at), 'epoch') FROM (`)
	aggregates(s, tablesByApp, kind, snapshot.Filter{AllApps: true}, r, func() { s.Add(`app, sample_count, starts_at`) })
	s.Add(`) AS part GROUP BY app`)
	return true
}

// selectEndpoints appends app, endpoint, method; one may come more than once.
func selectEndpoints(s *snapshot.Statement, r Plan) bool {
	return aggregates(s, tablesByKey, event.KindPerformance, snapshot.Filter{AllApps: true}, r, func() { s.Add(`p.app, endpoint_path, method`) })
}

// recordedApps returns the apps that aggregates have; with an app only that.
func recordedApps(s *snapshot.Statement, app string) *snapshot.Statement {
	return s.Add(`SELECT app FROM aggregate_totals WHERE true`).Equal("app", app)
}

// hoursWithUser returns start and end of the aggregated hours in which a user had
// usage events; an app narrows them, "" is all.
func hoursWithUser(r Plan, app, user string) *snapshot.Statement {
	var st snapshot.Statement
	st.Add(`SELECT DISTINCT `+hourOfPart+`, `+hourOfPart+` + interval '1 hour' FROM aggregate_totals
		WHERE resolution = 'hour' AND metric_type = 'usage' AND `).In(aggregateTime, r.hours).Equal("app", app)
	return st.Add(` AND user_numbers_of(users) @> ARRAY(SELECT user_number FROM user_numbers WHERE user_id = ?)
		AND EXISTS (SELECT FROM user_numbers WHERE user_id = ?) ORDER BY 1`, user, user)
}
