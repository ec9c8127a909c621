package query

import (
	"github.com/lakepulse/lakepulse/pkg/event"
)

// This file, and receipts.go, hold all SQL over the tables of aggregates. What the
// rest of the package needs from them is the functions below. Each appends
// SELECTs of a fixed row shape for the aggregated part of a plan, joined by UNION
// ALL, and reports whether it appended any; the callers append the raw rows of
// the plan in the same shape. Where an answer is not selected in parts, a whole
// statement is returned.

// aggregateTime is the column of aggregates that says when: the start of the hour or day.
const aggregateTime = `time_bucket`

// tier is a pair of aggregate tables of the same columns.
type tier struct{ hours, days string }

var (
	// byKey has a row per endpoint and method, or per event type.
	byKey = tier{hours: `aggregated_metrics WHERE `, days: `aggregated_days WHERE `}
	// byApp has a row per app.
	byApp = tier{
		hours: `aggregated_totals WHERE resolution = 'hour' AND `,
		days:  `aggregated_totals WHERE resolution = 'day' AND `,
	}
)

// tierOf returns the smallest tables that can be narrowed to a filter.
func tierOf(kind event.Kind, f filter) tier {
	if kind == event.KindPerformance && (f.endpoint != "" || f.method != "") || kind == event.KindUsage && f.eventType != "" {
		return byKey
	}
	return byApp
}

// aggregates appends a select of columns for each of the tier's tables that the
// reading needs, joined by UNION ALL, and reports whether it appended any. The
// columns are appended by a function because buckets are among them.
func aggregates(s *statement, t tier, kind event.Kind, f filter, r reading, columns func()) bool {
	some := false
	for _, part := range []struct {
		table string
		spans []span
	}{{t.days, r.days}, {t.hours, r.hours}} {
		if len(part.spans) == 0 {
			continue
		}
		if some {
			s.add(` UNION ALL `)
		}
		some = true
		s.add(`SELECT `)
		columns()
		s.add(` FROM `+part.table+`metric_type = ? AND `, string(kind)).in(aggregateTime, part.spans).equal("app", f.app)
		if kind == event.KindPerformance {
			s.equal("endpoint_path", f.endpoint).equal("method", f.method)
		} else {
			s.equal("event_type", f.eventType)
		}
	}
	return some
}

// selectRequestParts appends the keys and then a part of requests that can be
// merged: sample count, errors, anonymous requests, sum, least and greatest
// response time, encoded histogram.
func selectRequestParts(s *statement, t tier, f filter, r reading, keys ...keyColumn) bool {
	return aggregates(s, t, event.KindPerformance, f, r, func() {
		for _, k := range keys {
			k.aggregate(s)
			s.add(`, `)
		}
		s.add(`sample_count, error_count, anonymous_count, response_time_sum, response_time_min, response_time_max, histogram`)
	})
}

// endpointColumns are the keys by which endpoints are told apart.
var endpointColumns = []keyColumn{column(`app`, `app`), column(`endpoint_path`, `endpoint`), column(`method`, `method`)}

// keyColumn is the bucket as a key.
func (b buckets) keyColumn() keyColumn {
	return keyColumn{
		aggregate: func(s *statement) { b.column(s, aggregateTime) },
		raw:       func(s *statement) { b.column(s, rawTime) },
	}
}

// selectTrends appends app, endpoint, method, start of the slice, requests.
func selectTrends(s *statement, f filter, r reading, cut trendSlices) bool {
	if !r.aggregated() {
		return false
	}
	s.add(`SELECT app, endpoint_path, method, date_bin(?::interval, time_bucket, ?), sum(sample_count)::bigint FROM (`, cut.width, cut.from)
	aggregates(s, byKey, event.KindPerformance, f, r, func() { s.add(`app, endpoint_path, method, time_bucket, sample_count`) })
	s.add(`) AS part GROUP BY 1, 2, 3, 4`)
	return true
}

// outcomesStatement returns counts of status codes and counts of error types, each
// a JSON object.
func outcomesStatement(f filter, r reading) *statement {
	var st statement
	aggregates(&st, byKey, event.KindPerformance, f, r, func() {
		st.add(`aggregated_values->'status_code_distribution', aggregated_values->'error_type_distribution'`)
	})
	return &st
}

// slowHoursStatement returns start and end of the n hours whose slowest request
// is slowest.
func slowHoursStatement(f filter, r reading, n int) *statement {
	var st statement
	st.add(`SELECT time_bucket, time_bucket + interval '1 hour' FROM (`)
	aggregates(&st, byKey, event.KindPerformance, f, r, func() { st.add(`time_bucket, response_time_max`) })
	return st.add(`) AS part GROUP BY time_bucket ORDER BY max(response_time_max) DESC LIMIT ?`, n)
}

// eventPartsStatement returns event type, events, successes, failures and, with
// lists, counts by page (of events of the filter's page type) and by element, each
// a JSON object; without them NULL.
func eventPartsStatement(f filter, r reading, lists bool) *statement {
	var st statement
	aggregates(&st, byKey, event.KindUsage, f, r, func() {
		st.add(`event_type, sample_count, success_count, failure_count`)
		if lists {
			st.add(`, CASE WHEN event_type = ? THEN aggregated_values->'event_count_by_page' END,
				aggregated_values->'event_count_by_element'`, pageType(f))
		} else {
			st.add(`, NULL, NULL`)
		}
	})
	return &st
}

// selectEventCounts appends bucket, event type, events.
func selectEventCounts(s *statement, f filter, r reading, b buckets) bool {
	if !r.aggregated() {
		return false
	}
	s.add(`SELECT bucket, event_type, sum(sample_count)::bigint FROM (`)
	aggregates(s, byKey, event.KindUsage, f, r, func() {
		b.column(s, aggregateTime).add(` AS bucket, event_type, sample_count`)
	})
	s.add(`) AS part GROUP BY 1, 2`)
	return true
}

// selectUsers appends bucket, of events?, any anonymous?, numbers of users, NULL
// (their names). Without buckets the bucket is the epoch.
func selectUsers(s *statement, kind event.Kind, f filter, r reading, b *buckets) bool {
	return aggregates(s, tierOf(kind, f), kind, f, r, func() {
		bucketColumn(s, b, aggregateTime).add(` AS bucket, ?::boolean, anonymous_count > 0, users, NULL::text[]`, kind == event.KindUsage)
	})
}

// selectApps appends true (only the hour is known), app, events, start of the last hour.
func selectApps(s *statement, kind event.Kind, r reading) bool {
	if !r.aggregated() {
		return false
	}
	s.add(`SELECT true, app, sum(sample_count)::bigint, max(time_bucket) FROM (`)
	aggregates(s, byApp, kind, filter{}, r, func() { s.add(`app, sample_count, time_bucket`) })
	s.add(`) AS part GROUP BY app`)
	return true
}

// selectEndpoints appends app, endpoint, method; one may come more than once.
func selectEndpoints(s *statement, r reading) bool {
	return aggregates(s, byKey, event.KindPerformance, filter{}, r, func() { s.add(`app, endpoint_path, method`) })
}
