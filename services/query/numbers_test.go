package query

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/services/query/history"
)

// every returns requests at equal distances from from to to.
func every(d time.Duration, from, to time.Time) (list []event.Performance) {
	for at := from; at.Before(to); at = at.Add(d) {
		list = append(list, event.Performance{Timestamp: at, ResponseTimeMS: 10, UserID: "ada"})
	}
	return list
}

// custom are the parameters of a range.
func custom(from, to time.Time, more ...string) []string {
	return append(pairs(between(from, to)), more...)
}

// The sum of a trend and its shape are right whatever reads it: slices narrower
// than an hour come from raw rows, also where the hour is aggregated.
func TestTrendOfAggregatedHours(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		length time.Duration
		each   int64 // requests of a slice: one a minute
	}{
		"six hours in slices of a quarter":    {6 * time.Hour, 15},
		"two hours in slices of five minutes": {2 * time.Hour, 5},
		"twelve hours in halves":              {12 * time.Hour, 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			from := before(2 * history.Day).Truncate(time.Hour)
			b.requests(every(time.Minute, from, from.Add(c.length))...)
			for hour := from; hour.Before(from.Add(c.length)); hour = hour.Add(time.Hour) {
				b.settle(hour, 0)
			}
			got := ask[api.Performance](b, "/api/v1/metrics/performance", custom(from, from.Add(c.length))...)
			for i, n := range got.Endpoints[0].Trend {
				require.Equal(t, c.each, n, "slice %d of %v", i, got.Endpoints[0].Trend)
			}
		})
	}
}

// A period that was widened to full hours and the one before it share no hour.
func TestPreviousPeriodSharesNoHour(t *testing.T) {
	t.Parallel()
	morning := moment.Truncate(history.Day).Add(-2 * history.Day)
	b := setup(t)
	for _, hour := range []int{2, 3, 4, 5} {
		b.requests(every(6*time.Minute, morning.Add(time.Duration(hour)*time.Hour), morning.Add(time.Duration(hour+1)*time.Hour))...)
		b.settle(morning.Add(time.Duration(hour)*time.Hour), 0)
	}
	b.exec(`UPDATE purge_line SET purged_before = $1`, morning.Add(12*time.Hour))
	b.exec(`DELETE FROM performance_metrics`)

	t.Run("of aggregated hours", func(t *testing.T) {
		got := ask[api.Performance](b, "/api/v1/metrics/performance",
			custom(morning.Add(4*time.Hour+17*time.Minute), morning.Add(5*time.Hour+17*time.Minute), "compare", "true")...)
		require.Equal(t, morning.Add(4*time.Hour), got.Sources.EffectiveStart)
		require.EqualValues(t, 20, got.Metrics.TotalRequests)
		require.Equal(t, got.Sources.EffectiveStart, got.Previous.EndTime)
		require.Equal(t, got.Previous.EndTime, got.Previous.Sources.EffectiveEnd)
		require.Equal(t, morning.Add(2*time.Hour), got.Previous.Sources.EffectiveStart)
		require.EqualValues(t, 20, got.Previous.Metrics.TotalRequests)
		require.Equal(t, got.Previous.Metrics.TotalRequests, got.Previous.Sources.N)
		require.NotNil(t, got.Previous.Sources.AggregatedFrom)
	})
	t.Run("whatever the edges, also of usage", func(t *testing.T) {
		for i := range 24 {
			from := morning.Add(time.Duration(i) * 37 * time.Minute)
			q := custom(from, from.Add(time.Duration(1+i%5)*29*time.Minute), "compare", "true")
			performance := ask[api.Performance](b, "/api/v1/metrics/performance", q...)
			usage := ask[api.Usage](b, "/api/v1/metrics/usage", q...)
			require.Equal(t, performance.Sources.EffectiveStart, performance.Previous.Sources.EffectiveEnd, "%v", q)
			require.Equal(t, usage.Sources.EffectiveStart, usage.Previous.Sources.EffectiveEnd, "%v", q)
		}
	})
}

// A percentile that rests on too few values is marked wherever one is answered.
func TestPercentilesOfTooFewValuesAreMarked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	lacking := func(names ...string) *api.InsufficientSamples {
		if names == nil {
			return nil
		}
		return (*api.InsufficientSamples)(&names)
	}
	want := map[int]*api.InsufficientSamples{
		2: lacking("p50", "p95", "p99"), 3: lacking("p95", "p99"), 19: lacking("p95", "p99"), 20: lacking("p99"),
		99: lacking("p99"), 100: nil,
	}
	for n := range want {
		for i := range n {
			click := fmt.Sprintf("click-%d-%d", n, i)
			b.requests(event.Performance{Timestamp: before(time.Hour), Endpoint: fmt.Sprintf("/of-%d", n), ResponseTimeMS: float64(i), InteractionID: click})
			b.events(event.Usage{Timestamp: before(time.Hour), EventType: event.TypeButtonClick, ElementID: fmt.Sprintf("of-%d", n), InteractionID: click})
		}
	}
	for _, e := range ask[api.Performance](b, "/api/v1/metrics/performance").Endpoints {
		require.Equal(t, want[int(e.RequestCount)], e.InsufficientSamples, e.Endpoint)
	}
	for n, marks := range want {
		detail := ask[api.EndpointDetail](b, "/api/v1/metrics/endpoint", "endpoint", fmt.Sprintf("/of-%d", n), "method", "GET")
		require.Equal(t, marks, detail.Metrics.InsufficientSamples)
		require.Equal(t, marks, detail.DataPoints[0].InsufficientSamples)
		series := ask[api.TimeSeries](b, "/api/v1/metrics/time-series", "metric_type", "performance", "endpoint", fmt.Sprintf("/of-%d", n))
		require.Equal(t, marks, series.DataPoints[0].InsufficientSamples)
	}
	for _, f := range ask[api.FeatureList](b, "/api/v1/metrics/features").Features {
		require.Equal(t, history.InsufficientSamples(f.Interactions, 2), f.InsufficientSamples, "a feature has p50 and p95 only")
	}
}

// What is rare among the raw rows may be frequent in all: lists are cut last.
func TestListsAreCutAfterTheyAreMerged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	yesterday := before(history.Day).Truncate(time.Hour)
	var list []event.Usage
	add := func(n int, name string, at time.Time) {
		for range n {
			list = append(list, event.Usage{Timestamp: at, ElementID: name, PageName: "/" + name})
		}
	}
	add(5, "top", yesterday.Add(time.Minute))
	add(2, "top", before(time.Minute))
	for i := range 2 * history.MaxElements {
		add(3, fmt.Sprintf("of-now-%d", i), before(time.Minute))
	}
	b.events(list...)
	b.settleEvents(yesterday)

	got := ask[api.Usage](b, "/api/v1/metrics/usage", "time_range", "7d")
	require.EqualValues(t, 7, got.Elements["top"])
	require.EqualValues(t, 7, got.PageViews["/top"])
	require.Equal(t, api.ListBounds{Listed: history.MaxElements, Distinct: 2*history.MaxElements + 1}, got.ElementList)
	require.Len(t, got.Elements, history.MaxElements)
	detail := ask[api.EventDetail](b, "/api/v1/metrics/event", "event_type", "page_view", "time_range", "7d")
	require.EqualValues(t, 7, detail.Elements["top"])
	require.Equal(t, got.ElementList, detail.ElementList)

	t.Run("what an hour did not keep is said", func(t *testing.T) {
		b.exec(`UPDATE aggregate_hours SET elements = ARRAY(SELECT varint(name_number) || varint(4) || varint(0) || varint(1)
			FROM aggregate_names WHERE name = 'top') WHERE metric_type = 'usage'`)
		got := ask[api.Usage](b, "/api/v1/metrics/usage", "time_range", "7d")
		require.EqualValues(t, 6, got.Elements["top"])
		require.EqualValues(t, 1, got.ElementList.Other, "a count may be too low by 1")
		require.NotContains(t, got.Elements, "(other)")
	})
}

// A bucket of which the range has only a part is cut, and no less complete for it.
func TestBucketsThatTheRangeCuts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.storedThrough(moment)
	hour := moment.Truncate(time.Hour).Add(-5 * time.Hour)
	b.requests(every(10*time.Minute, hour, moment)...)
	yes := true
	points := func(pairs ...string) []api.DataPoint {
		return ask[api.TimeSeries](b, "/api/v1/metrics/time-series", append(pairs, "metric_type", "performance", "interval", "hourly")...).DataPoints
	}
	list := points(custom(hour.Add(30*time.Minute), hour.Add(150*time.Minute))...)
	require.Len(t, list, 3)
	require.Equal(t, []*bool{&yes, nil, &yes}, []*bool{list[0].Cut, list[1].Cut, list[2].Cut})
	for _, p := range list {
		require.True(t, p.Complete, "over, and stored")
	}
	now := points()
	last := now[len(now)-1]
	require.Nil(t, last.Cut, "the hour of now is not cut, it goes on")
	require.False(t, last.Complete)
	users := ask[api.Usage](b, "/api/v1/metrics/usage", custom(hour.Add(30*time.Minute), hour.Add(150*time.Minute), "interval", "hourly")...)
	require.Equal(t, &yes, users.ActiveUsers[0].Cut)
}

// Who looks at the dashboard does not change what it shows.
func TestOwnRecordsAreNoPartOfAllApps(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hour := before(3 * history.Day).Truncate(time.Hour)
	for _, at := range []time.Time{before(time.Minute), hour.Add(time.Minute)} {
		for _, app := range []string{"shop", event.OwnApp} {
			b.requests(event.Performance{Timestamp: at, App: app, UserID: app + "'s user", Endpoint: "/" + app, ResponseTimeMS: 12.5, AppVersion: "1",
				InteractionID: app}, event.Performance{Timestamp: at.Add(time.Second), App: app, UserID: app + "'s user", Endpoint: "/" + app, AppVersion: "2"})
			b.events(event.Usage{Timestamp: at, App: app, UserID: app + "'s user", ElementID: app, InteractionID: app})
		}
	}
	b.settle(hour, 0)
	b.settleEvents(hour)
	for _, rng := range []string{"24h", "7d"} {
		paths := map[string][]string{
			"/api/v1/metrics/performance": {"compare", "true"}, "/api/v1/metrics/usage": {"compare", "true"},
			"/api/v1/metrics/time-series": {"metric_type", "both"}, "/api/v1/metrics/requests": nil, "/api/v1/metrics/features": nil,
			"/api/v1/metrics/event": {"event_type", "page_view"}, "/api/v1/metrics/export": {"kind", "performance"},
		}
		for path, q := range paths {
			rec := b.get(path, append(q, "time_range", rng)...)
			require.Equal(t, http.StatusOK, rec.Code)
			require.NotContains(t, rec.Body.String(), event.OwnApp, "%s %s", path, rng)
			require.Contains(t, rec.Body.String(), "shop", "%s %s", path, rng)
		}
		require.NotContains(t, b.get("/api/v1/metrics/export", "kind", "usage", "time_range", rng).Body.String(), event.OwnApp)
	}
	got := ask[api.Performance](b, "/api/v1/metrics/performance")
	require.EqualValues(t, 2, got.Metrics.TotalRequests)
	require.EqualValues(t, 1, got.Metrics.ActiveUsers)
	require.EqualValues(t, 1, ask[api.Usage](b, "/api/v1/metrics/usage").Metrics.ActiveUsersCurrentHour)

	t.Run("and have an entry of their own", func(t *testing.T) {
		for _, rng := range []string{"24h", "7d"} {
			apps := ask[api.AppList](b, "/api/v1/apps", "time_range", rng)
			require.Len(t, apps.Apps, 1)
			require.Equal(t, event.OwnApp, apps.Own.App)
			require.Equal(t, apps.Apps[0].Requests, apps.Own.Requests)
		}
		own := ask[api.Performance](b, "/api/v1/metrics/performance", "app", event.OwnApp)
		require.EqualValues(t, 2, own.Metrics.TotalRequests)
		require.Contains(t, b.get("/api/v1/metrics/export", "kind", "usage", "app", event.OwnApp).Body.String(), `"app":"lakepulse"`)
	})
}

func TestUnknownApp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	queries := map[string][]string{
		"/api/v1/metrics/performance": nil, "/api/v1/metrics/usage": nil, "/api/v1/metrics/time-series": {"metric_type", "both"},
		"/api/v1/metrics/endpoint": {"endpoint", "/orders", "method", "GET"}, "/api/v1/metrics/event": {"event_type", "page_view"},
		"/api/v1/metrics/requests": nil, "/api/v1/metrics/features": nil, "/api/v1/metrics/export": {"kind", "usage"},
	}
	for path, q := range queries {
		require.Equal(t, http.StatusOK, b.get(path, append(q, "app", "orders")...).Code, "an empty installation answers with zeros: %s", path)
	}
	b.events(event.Usage{Timestamp: before(2 * history.Day), App: "orders"})
	for path, q := range queries {
		got := b.refused(http.StatusNotFound, path, append(q, "app", "ordres")...)
		require.Contains(t, got["message"], `did you mean "orders"?`)
		require.Equal(t, map[string]any{"field": "app", "rule": "unknown", "nearest": "orders"}, got["details"])
		require.Equal(t, http.StatusOK, b.get(path, append(q, "app", "orders")...).Code, "known, without traffic in the range: %s", path)
	}
	b.exec(`INSERT INTO apps (app) VALUES ('desk')`)
	for path, q := range queries {
		require.Equal(t, http.StatusOK, b.get(path, append(q, "app", "desk")...).Code, "made by an administrator: %s", path)
		require.Equal(t, http.StatusOK, b.get(path, append(q, "app", event.OwnApp)...).Code)
	}
}

func TestZonesAsOffsets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.events(event.Usage{Timestamp: time.Date(2026, 3, 17, 18, 45, 0, 0, time.UTC)})
	for zone, want := range map[string]string{
		"+05:30": "2026-03-17T18:30:00Z", " 05:30": "2026-03-17T18:30:00Z", "UTC+5:30": "2026-03-17T18:30:00Z", "+0545": "2026-03-17T18:15:00Z",
		"UTC+3": "2026-03-16T21:00:00Z", "-03": "2026-03-17T03:00:00Z", "GMT-11": "2026-03-17T11:00:00Z", "Asia/Kolkata": "2026-03-17T18:30:00Z",
		"UTC": "2026-03-17T00:00:00Z", "+00:00": "2026-03-17T00:00:00Z", "+14:00": "2026-03-17T10:00:00Z",
	} {
		got := ask[api.TimeSeries](b, "/api/v1/metrics/time-series", "metric_type", "usage", "interval", "daily", "time_range", "7d", "time_zone", zone)
		require.Equal(t, want, got.DataPoints[0].Timestamp.Format(time.RFC3339), zone)
	}
	for _, zone := range []string{"+14:01", "+5:60", "UTC+", "UTC+100", "5:30", "Local", "+", "-", "UTC+3h", "Mars/Olympus"} {
		got := b.refused(http.StatusBadRequest, "/api/v1/metrics/usage", "interval", "daily", "time_zone", zone)
		require.Equal(t, "time_zone", got["details"].(map[string]any)["field"], zone)
	}
}

// A count says since when it counts, and reads only the hours the user was active in.
func TestUsageCountSaysSinceWhen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hours := []time.Time{before(3 * history.Day).Truncate(time.Hour), before(2 * history.Day).Truncate(time.Hour)}
	for _, hour := range hours {
		b.events(event.Usage{Timestamp: hour.Add(time.Minute), UserID: "ada"}, event.Usage{Timestamp: hour.Add(2 * time.Minute), UserID: "ada", App: "desk"},
			event.Usage{Timestamp: hour.Add(time.Minute), UserID: "bob"})
		b.settleEvents(hour)
	}
	b.events(event.Usage{Timestamp: before(time.Minute), UserID: "ada"}, event.Usage{Timestamp: before(time.Minute), UserID: "new here"})
	const path = "/api/v1/metrics/usage/count"
	count := func(user string, pairs ...string) api.UsageCount {
		b.caller = auth.Caller{Kind: auth.KindUser, UserID: user}
		return ask[api.UsageCount](b, path, append(pairs, "time_range", "7d")...)
	}
	require.EqualValues(t, 5, count("ada").Count)
	require.EqualValues(t, 2, count("bob").Count)
	require.EqualValues(t, 1, count("new here").Count, "no aggregate knows this user yet")
	require.Equal(t, before(7*history.Day), count("ada").Since, "the start of the range")

	b.exec(`UPDATE purge_line SET purged_before = $1`, hours[1])
	got := count("ada")
	require.EqualValues(t, 3, got.Count)
	require.Equal(t, hours[1], got.Since, "single events are kept from here on")
	b.caller = auth.Caller{Kind: auth.KindApp, App: "desk"}
	require.EqualValues(t, 1, ask[api.UsageCount](b, path, "time_range", "7d", "user_id", "ada").Count)

	old := ask[api.UsageCount](b, path, custom(before(6*history.Day), before(5*history.Day), "user_id", "ada")...)
	require.Zero(t, old.Count)
	require.Equal(t, before(5*history.Day), old.Since, "nothing of the range is kept one by one")
}
