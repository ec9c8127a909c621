package e2e

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api"
)

// question is what is asked of the product and of plain SQL.
type question struct {
	start, end                       time.Time
	app, endpoint, method, eventType string
	anonymous, exact                 bool
	zone                             string
}

func (q question) values(more ...string) url.Values {
	v := url.Values{"start": {q.start.Format(time.RFC3339Nano)}, "end": {q.end.Format(time.RFC3339Nano)}}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("app", q.app)
	if q.exact {
		v.Set("exact", "true")
	}
	if q.anonymous {
		v.Set("include_anonymous", "true")
	}
	for i := 0; i < len(more); i += 2 {
		set(more[i], more[i+1])
	}
	return v
}

// where is the condition on a kept table, by the start and end the answer says it used.
func (q question) where(p api.Provenance, requests bool) string {
	text := fmt.Sprintf(`"timestamp" >= '%s' AND "timestamp" < '%s'`, p.EffectiveStart.Format(time.RFC3339Nano), p.EffectiveEnd.Format(time.RFC3339Nano))
	equal := func(column, value string) {
		if value != "" {
			text += fmt.Sprintf(" AND %s = '%s'", column, value)
		}
	}
	equal("app", q.app)
	if requests {
		equal("endpoint", q.endpoint)
		equal("method", q.method)
	} else {
		equal("event_type", q.eventType)
	}
	return text
}

// reference is what plain SQL says of a set of requests.
type reference struct {
	n, errors, anonymous int64
	avg, least, greatest float64
	percentiles          []float64 // nearest rank
}

const referenceColumns = `count(*), count(*) FILTER (WHERE status_code >= 400), count(*) FILTER (WHERE user_id IS NULL),
	coalesce(avg(response_time_ms), 0), coalesce(min(response_time_ms), 0), coalesce(max(response_time_ms), 0),
	percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY response_time_ms)`

// references runs SELECT key, columns … and returns them by key.
func (a *archive) references(key, where, group string) map[string]reference {
	a.t.Helper()
	rows, err := a.pool.Query(a.t.Context(), `SELECT `+key+`, `+referenceColumns+` FROM public.kept_requests WHERE `+where+group)
	require.NoError(a.t, err)
	found := map[string]reference{}
	var name string
	var r reference
	_, err = pgx.ForEachRow(rows, []any{&name, &r.n, &r.errors, &r.anonymous, &r.avg, &r.least, &r.greatest, &r.percentiles}, func() error {
		found[name] = r
		return nil
	})
	require.NoError(a.t, err)
	return found
}

// counts runs a statement of a text and a number.
func (a *archive) counts(sql string) map[string]int64 {
	a.t.Helper()
	rows, err := a.pool.Query(a.t.Context(), sql)
	require.NoError(a.t, err)
	found := map[string]int64{}
	var name string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&name, &n}, func() error {
		found[name] = n
		return nil
	})
	require.NoError(a.t, err)
	return found
}

// users is a select of the distinct users, with key columns before them.
func (q question) users(p api.Provenance, key string, requests, events bool) string {
	text := ""
	if requests {
		text = `SELECT DISTINCT ` + key + `user_id FROM public.kept_requests WHERE user_id IS NOT NULL AND ` + q.where(p, true)
		if q.anonymous {
			text += ` UNION SELECT DISTINCT ` + key + `'' FROM public.kept_requests WHERE user_id IS NULL AND ` + q.where(p, true)
		}
	}
	if requests && events {
		text += ` UNION `
	}
	if events {
		text += `SELECT DISTINCT ` + key + `user_id FROM public.kept_events WHERE ` + q.where(p, false)
	}
	return text
}

func (a *archive) countUsers(q question, p api.Provenance, requests, events bool) int64 {
	a.t.Helper()
	return a.counts(`SELECT '', count(*) FROM (` + q.users(p, "", requests, events) + `) u`)[""]
}

// same compares what was computed in different orders.
func (a *archive) same(want, got float64, what string) {
	a.t.Helper()
	require.InDelta(a.t, want, got, 1e-9*math.Max(1, math.Abs(want)), what)
}

// percentiles holds three percentiles against the reference, as the answer says they are.
func (a *archive) percentiles(p api.Provenance, r reference, got [3]float64, what string) {
	a.t.Helper()
	if r.n == 0 {
		require.Equal(a.t, [3]float64{}, got, what)
		return
	}
	for i := range got {
		if p.Percentiles.Kind == api.PrecisionExact {
			a.same(r.percentiles[i], got[i], what)
		} else {
			require.InEpsilon(a.t, r.percentiles[i], got[i], p.Percentiles.RelativeError, "%s, percentile %d", what, i)
		}
	}
}

func (a *archive) holdMetrics(p api.Provenance, r reference, m api.PerformanceMetrics, what string) {
	a.t.Helper()
	require.Equal(a.t, [3]int64{r.n, r.errors, r.anonymous}, [3]int64{m.TotalRequests, m.ErrorCount, m.AnonymousRequests}, what)
	a.same(r.avg, m.AvgResponseTimeMs, what)
	a.same(r.least, m.MinResponseTimeMs, what)
	a.same(r.greatest, m.MaxResponseTimeMs, what)
	a.same(float64(r.errors)/math.Max(1, float64(r.n)), m.ErrorRate, what)
	a.percentiles(p, r, [3]float64{m.P50ResponseTimeMs, m.P95ResponseTimeMs, m.P99ResponseTimeMs}, what)
}

// holdPerformance asks for the performance of everything and of every endpoint.
func (a *archive) holdPerformance(q question) api.Provenance {
	a.t.Helper()
	q.eventType = ""
	got := archiveGet[api.Performance](a, "/api/v1/metrics/performance", q.values("endpoint", q.endpoint, "method", q.method))
	p, where := got.Sources, q.where(got.Sources, true)
	total := a.references(`''`, where, ``)[""]
	a.holdMetrics(p, total, got.Metrics, "in all")
	require.Equal(a.t, total.n, p.N)
	require.Equal(a.t, a.countUsers(q, p, true, q.endpoint == "" && q.method == ""), got.Metrics.ActiveUsers, "active users")
	want := a.references(`app || ' ' || method || ' ' || endpoint`, where, ` GROUP BY 1`)
	require.Len(a.t, got.Endpoints, len(want))
	for _, e := range got.Endpoints {
		what := e.App + " " + e.Method + " " + e.Endpoint
		r := want[what]
		require.Equal(a.t, [2]int64{r.n, r.errors}, [2]int64{e.RequestCount, e.ErrorCount}, what)
		a.same(r.avg, e.AvgResponseTimeMs, what)
		a.same(r.least, e.MinResponseTimeMs, what)
		a.same(r.greatest, e.MaxResponseTimeMs, what)
		a.percentiles(p, r, [3]float64{e.P50ResponseTimeMs, e.P95ResponseTimeMs, e.P99ResponseTimeMs}, what)
		trend := int64(0)
		for _, n := range e.Trend {
			trend += n
		}
		require.Equal(a.t, r.n, trend, "trend of %s", what)
	}
	return p
}

// holdUsage asks for the usage.
func (a *archive) holdUsage(q question) {
	a.t.Helper()
	q.endpoint, q.method = "", ""
	got := archiveGet[api.Usage](a, "/api/v1/metrics/usage", q.values("event_type", q.eventType, "interval", "daily", "time_zone", q.zone))
	p, where := got.Sources, q.where(got.Sources, false)
	from := ` FROM public.kept_events WHERE ` + where
	byType := a.counts(`SELECT event_type, count(*)` + from + ` GROUP BY 1`)
	require.Equal(a.t, byType, got.EventDistribution)
	total := int64(0)
	for n := range maps.Values(byType) {
		total += n
	}
	require.Equal(a.t, total, got.Metrics.TotalEvents)
	require.Equal(a.t, a.countUsers(question{app: q.app, eventType: q.eventType}, p, false, true), got.Metrics.UniqueUsers, "unique users")
	require.Equal(a.t, a.counts(`SELECT 'good', count(*)` + from + ` AND success`)["good"], *got.Metrics.SuccessCount)
	require.Equal(a.t, a.counts(`SELECT 'bad', count(*)` + from + ` AND NOT success`)["bad"], *got.Metrics.FailureCount)
	pageType := q.eventType
	if pageType == "" {
		pageType = "page_view"
	}
	require.Equal(a.t, a.counts(`SELECT page_name, count(*)`+from+` AND page_name IS NOT NULL AND event_type = '`+pageType+`' GROUP BY 1`), got.PageViews)
	require.Equal(a.t, a.counts(`SELECT element_id, count(*)`+from+` AND element_id IS NOT NULL GROUP BY 1`), got.Elements)

	key := fmt.Sprintf(`date_trunc('day', "timestamp", '%s') AS bucket, `, q.zone)
	want := a.counts(`SELECT extract(epoch FROM bucket)::bigint::text, count(*) FROM (` + q.users(p, key, q.eventType == "", true) + `) u GROUP BY 1`)
	have := map[string]int64{}
	for _, point := range got.ActiveUsers {
		have[strconv.FormatInt(point.Timestamp.Unix(), 10)] = point.ActiveUsers
	}
	require.Equal(a.t, want, have, "active users by day in %s", q.zone)
}

// holdSeries asks for both kinds over time.
func (a *archive) holdSeries(q question, interval string) {
	a.t.Helper()
	q.eventType = ""
	got := archiveGet[api.TimeSeries](a, "/api/v1/metrics/time-series",
		q.values("metric_type", "both", "interval", interval, "time_zone", q.zone, "endpoint", q.endpoint, "method", q.method))
	unit := map[api.Interval]string{
		api.Interval5Min: `date_bin('5 minutes', "timestamp", 'epoch')`, api.IntervalHourly: `date_trunc('hour', "timestamp", 'UTC')`,
		api.IntervalDaily: fmt.Sprintf(`date_trunc('day', "timestamp", '%s')`, q.zone),
	}[got.Interval]
	p, key := got.Sources, `extract(epoch FROM `+unit+`)::bigint::text`
	requests := a.references(key, q.where(p, true), ` GROUP BY 1`)
	events := a.counts(`SELECT ` + key + `, count(*) FROM public.kept_events WHERE ` + q.where(p, false) + ` GROUP BY 1`)
	byType := a.counts(`SELECT ` + key + ` || event_type, count(*) FROM public.kept_events WHERE ` + q.where(p, false) + ` GROUP BY 1`)
	unique := a.counts(`SELECT bucket, count(*) FROM (` + question{app: q.app}.users(p, key+` AS bucket, `, false, true) + `) u GROUP BY 1`)
	active := a.counts(`SELECT bucket, count(*) FROM (` + q.users(p, key+` AS bucket, `, true, q.endpoint == "" && q.method == "") + `) u GROUP BY 1`)
	buckets := map[string]bool{}
	for _, keys := range [][]string{slices.Collect(maps.Keys(requests)), slices.Collect(maps.Keys(events))} {
		for _, k := range keys {
			buckets[k] = true
		}
	}
	require.Len(a.t, got.DataPoints, len(buckets), "buckets where nothing happened are absent, the others are not")
	for _, point := range got.DataPoints {
		at := strconv.FormatInt(point.Timestamp.Unix(), 10)
		what := point.Timestamp.String()
		require.Equal(a.t, events[at], deref(point.TotalEvents), what)
		require.Equal(a.t, unique[at], deref(point.UniqueUsers), what)
		require.Equal(a.t, active[at], deref(point.ActiveUsers), what)
		for name, n := range point.EventsByType {
			require.Equal(a.t, byType[at+name], n, what)
		}
		r, some := requests[at]
		require.Equal(a.t, some, point.TotalRequests != nil, what)
		if some {
			require.Equal(a.t, [2]int64{r.n, r.errors}, [2]int64{*point.TotalRequests, *point.ErrorCount}, what)
			a.same(r.avg, *point.AvgResponseTimeMs, what)
			a.percentiles(p, r, [3]float64{*point.P50ResponseTimeMs, *point.P95ResponseTimeMs, *point.P99ResponseTimeMs}, what)
		}
	}
}

// holdEndpoint asks for one endpoint in detail.
func (a *archive) holdEndpoint(q question) {
	a.t.Helper()
	q.eventType = ""
	got := archiveGet[api.EndpointDetail](a, "/api/v1/metrics/endpoint", q.values("endpoint", q.endpoint, "method", q.method))
	where := q.where(got.Sources, true)
	a.holdMetrics(got.Sources, a.references(`''`, where, ``)[""], got.Metrics, "detail")
	from := ` FROM public.kept_requests WHERE ` + where
	require.Equal(a.t, a.counts(`SELECT status_code::text, count(*)`+from+` GROUP BY 1`), got.StatusCodes)
	require.Equal(a.t, a.counts(`SELECT coalesce(error_type, ''), count(*)`+from+` AND status_code >= 400 GROUP BY 1`), got.ErrorTypes)
}

func deref(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}
