package query

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/services/query/history"
)

func TestPerformanceOverRawRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.storedThrough(before(time.Minute))
	var list []event.Performance
	for i := range 100 {
		p := event.Performance{Timestamp: before(time.Duration(i) * time.Minute), ResponseTimeMS: float64(i + 1), UserID: "ada"}
		if i%10 == 0 {
			p.StatusCode, p.ErrorType, p.UserID = 500, "Boom", ""
		}
		if i >= 90 {
			p.Endpoint, p.UserID = "/carts", "bob"
		}
		list = append(list, p)
	}
	b.requests(append(list, event.Performance{Timestamp: before(25 * time.Hour), ResponseTimeMS: 9000, UserID: "old"})...)
	b.events(event.Usage{Timestamp: before(time.Hour), UserID: "cyd"})

	t.Run("the card's numbers are exact", func(t *testing.T) {
		got := ask[api.Performance](b, "/api/v1/metrics/performance")
		require.EqualValues(t, 99, got.Metrics.TotalRequests, "the end is exclusive")
		require.EqualValues(t, 9, got.Metrics.ErrorCount)
		require.InDelta(t, 9.0/99, got.Metrics.ErrorRate, 1e-9)
		require.InDelta(t, 51, got.Metrics.AvgResponseTimeMs, 1e-9)
		require.InDelta(t, 51, got.Metrics.P50ResponseTimeMs, 1e-9)
		require.InDelta(t, 96, got.Metrics.P95ResponseTimeMs, 0, "the value at rank 95 of 99: there are 2 to 100")
		require.InDelta(t, 100, got.Metrics.P99ResponseTimeMs, 0)
		require.Equal(t, &api.InsufficientSamples{"p99"}, got.Metrics.InsufficientSamples)
		require.InDelta(t, 2, got.Metrics.MinResponseTimeMs, 0)
		require.InDelta(t, 100, got.Metrics.MaxResponseTimeMs, 0)
		require.EqualValues(t, 3, got.Metrics.ActiveUsers, "ada and bob by request, cyd by event")
		require.Equal(t, api.PrecisionExact, got.Sources.Percentiles.Kind)
		require.EqualValues(t, 99, got.Sources.N)
		require.Equal(t, before(time.Minute), got.Sources.CompleteTo)
	})
	t.Run("every endpoint has its own", func(t *testing.T) {
		got := ask[api.Performance](b, "/api/v1/metrics/performance")
		require.Len(t, got.Endpoints, 2)
		require.Equal(t, "/orders", got.Endpoints[0].Endpoint)
		require.EqualValues(t, 89, got.Endpoints[0].RequestCount)
		require.InDelta(t, 95, got.Endpoints[1].P50ResponseTimeMs, 0, "the fifth of ten")
		require.Len(t, got.Endpoints[0].Trend, 25, "whole hours, the first in part before the range")
		require.EqualValues(t, 3600, got.TrendSliceSeconds)
		require.EqualValues(t, 89, sum(got.Endpoints[0].Trend))
	})
	t.Run("filters narrow, and users with them", func(t *testing.T) {
		got := ask[api.Performance](b, "/api/v1/metrics/performance", "endpoint", "/carts")
		require.EqualValues(t, 10, got.Metrics.TotalRequests)
		require.EqualValues(t, 1, got.Metrics.ActiveUsers)
		none := ask[api.Performance](b, "/api/v1/metrics/performance", "endpoint", "/other")
		require.Zero(t, none.Metrics.TotalRequests)
		require.NotNil(t, none.Endpoints)
	})
	t.Run("anonymous traffic is one more user when asked for", func(t *testing.T) {
		got := ask[api.Performance](b, "/api/v1/metrics/performance", "include_anonymous", "true")
		require.EqualValues(t, 4, got.Metrics.ActiveUsers)
		require.EqualValues(t, 8, got.Metrics.AnonymousRequests)
	})
	t.Run("the period before is compared with", func(t *testing.T) {
		got := ask[api.Performance](b, "/api/v1/metrics/performance", "compare", "true")
		require.EqualValues(t, 1, got.Previous.Metrics.TotalRequests)
		require.Nil(t, ask[api.Performance](b, "/api/v1/metrics/performance", "time_range", "90d", "compare", "true").Previous)
	})
}

func TestUsageOverRawRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	yes, no := true, false
	b.events(
		event.Usage{Timestamp: before(time.Minute), PageName: "/home", UserID: "ada"},
		event.Usage{Timestamp: before(2 * time.Hour), PageName: "/home", UserID: "bob"},
		event.Usage{Timestamp: before(3 * time.Hour), PageName: "/cart", UserID: "bob"},
		event.Usage{Timestamp: before(3 * time.Hour), EventType: event.TypeButtonClick, ElementID: "buy", PageName: "/cart", Success: &yes},
		event.Usage{Timestamp: before(3 * time.Hour), EventType: event.TypeButtonClick, ElementID: "buy", Success: &no, App: "desk"},
	)
	b.requests(event.Performance{Timestamp: before(2 * time.Minute), UserID: "cyd"},
		event.Performance{Timestamp: before(3 * time.Minute)})

	got := ask[api.Usage](b, "/api/v1/metrics/usage", "include_anonymous", "true")
	require.EqualValues(t, 5, got.Metrics.TotalEvents)
	require.EqualValues(t, 2, got.Metrics.UniqueUsers)
	require.EqualValues(t, 3, got.Metrics.ActiveUsersCurrentHour)
	require.InDelta(t, 0.5, *got.Metrics.SuccessRate, 0)
	require.Equal(t, map[string]int64{"page_view": 3, "button_click": 2}, got.EventDistribution)
	require.Equal(t, map[string]int64{"/home": 2, "/cart": 1}, got.PageViews)
	require.Equal(t, map[string]int64{"buy": 2}, got.Elements)
	require.Equal(t, "ada", got.TopUsers[0].UserID)
	require.Equal(t, api.Interval5Min, got.Interval)
	require.Len(t, got.ActiveUsers, 4)

	clicks := ask[api.Usage](b, "/api/v1/metrics/usage", "event_type", "button_click", "app", "shop")
	require.EqualValues(t, 1, clicks.Metrics.TotalEvents)
	require.Equal(t, map[string]int64{"/cart": 1}, clicks.PageViews)
}

// Lists of users are the only answers that a long range takes from its end alone.
func TestListsOfUsersSaySinceWhen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.requests(event.Performance{Timestamp: before(5 * time.Hour), UserID: "ada", StatusCode: 500},
		event.Performance{Timestamp: before(time.Hour), UserID: "bob", StatusCode: 500})
	b.events(event.Usage{Timestamp: before(5 * time.Hour), UserID: "ada"}, event.Usage{Timestamp: before(time.Hour), UserID: "bob"})
	full := moment.Add(-3 * time.Hour).Truncate(time.Hour) // an hour with more rows than a list reads
	b.exec(`INSERT INTO hour_receipts (metric_type, time_bucket, source_rows) VALUES ('performance', $1, $2)`, full, history.ListedRows+1)
	lists := map[string]func(rng string) ([]api.UserActivity, api.Provenance){
		"of all": func(rng string) ([]api.UserActivity, api.Provenance) {
			got := ask[api.Usage](b, "/api/v1/metrics/usage", "time_range", rng)
			return got.TopUsers, got.Sources
		},
		"of an endpoint": func(rng string) ([]api.UserActivity, api.Provenance) {
			got := ask[api.EndpointDetail](b, "/api/v1/metrics/endpoint", "time_range", rng, "endpoint", "/orders", "method", "GET")
			require.EqualValues(t, len(got.Users), got.UsersAffected)
			return got.Users, got.Sources
		},
		"of an event type": func(rng string) ([]api.UserActivity, api.Provenance) {
			got := ask[api.EventDetail](b, "/api/v1/metrics/event", "time_range", rng, "event_type", "page_view")
			return got.Users, got.Sources
		},
	}
	for name, list := range lists {
		t.Run(name, func(t *testing.T) {
			users, sources := list("24h")
			require.Len(t, users, 2)
			require.Equal(t, before(history.Day), *sources.UsersFrom)
			users, sources = list("7d")
			require.Len(t, users, 1)
			require.Equal(t, "bob", users[0].UserID)
			require.Equal(t, full.Add(time.Hour), *sources.UsersFrom)
		})
	}
	t.Run("and nothing where there is no list", func(t *testing.T) {
		require.Nil(t, ask[api.Performance](b, "/api/v1/metrics/performance").Sources.UsersFrom)
	})
}

func TestUsageWithoutItsUsers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.events(event.Usage{Timestamp: before(time.Minute), UserID: "ada"}, event.Usage{Timestamp: before(2 * time.Hour), UserID: "bob"})
	all := ask[api.Usage](b, "/api/v1/metrics/usage", "compare", "true")
	got := ask[api.Usage](b, "/api/v1/metrics/usage", "compare", "true", "users", "false")
	require.Empty(t, got.ActiveUsers)
	require.Empty(t, got.TopUsers)
	require.Nil(t, got.Sources.UsersFrom)
	got.ActiveUsers, got.TopUsers, got.Sources.UsersFrom = all.ActiveUsers, all.TopUsers, all.Sources.UsersFrom
	require.Equal(t, all, got, "everything else is the same")
	b.refused(http.StatusBadRequest, "/api/v1/metrics/usage", "users", "no")
}

func TestTimeSeriesOverRawRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.storedThrough(before(2 * time.Minute))
	b.requests(
		event.Performance{Timestamp: moment.Truncate(time.Hour), ResponseTimeMS: 10, UserID: "ada", AppVersion: "2"},
		event.Performance{Timestamp: moment.Truncate(time.Hour).Add(-time.Second), ResponseTimeMS: 20, UserID: "bob", StatusCode: 404, AppVersion: "1"},
		event.Performance{Timestamp: moment.Truncate(time.Hour).Add(-2 * time.Second), ResponseTimeMS: 30, UserID: "bob", AppVersion: "1"},
	)
	b.events(event.Usage{Timestamp: before(30 * time.Hour)}, event.Usage{Timestamp: moment.Truncate(time.Hour), UserID: "cyd"})

	t.Run("five minutes up to a day", func(t *testing.T) {
		got := ask[api.TimeSeries](b, "/api/v1/metrics/time-series", "metric_type", "both")
		require.Equal(t, api.Interval5Min, got.Interval)
		require.Len(t, got.DataPoints, 2, "empty buckets are absent")
		first, second := got.DataPoints[0], got.DataPoints[1]
		require.Equal(t, moment.Truncate(time.Hour).Add(-5*time.Minute), first.Timestamp)
		require.EqualValues(t, 2, *first.TotalRequests)
		require.InDelta(t, 20, *first.P50ResponseTimeMs, 0)
		require.Equal(t, &api.InsufficientSamples{"p50", "p95", "p99"}, first.InsufficientSamples)
		require.InDelta(t, 0.5, *first.ErrorRate, 0)
		require.EqualValues(t, 1, *first.ActiveUsers)
		require.Nil(t, first.TotalEvents)
		require.True(t, first.Complete)
		require.EqualValues(t, 2, *second.ActiveUsers)
		require.EqualValues(t, 1, *second.UniqueUsers)
		require.Equal(t, map[string]int64{"page_view": 1}, second.EventsByType)
		require.True(t, second.Complete, "over at 14:05, stored through 14:05:30")
		require.Equal(t, []api.Deploy{{App: "shop", AppVersion: "2", Timestamp: moment.Truncate(time.Hour)}}, got.Deploys)
	})
	t.Run("hours beyond", func(t *testing.T) {
		got := ask[api.TimeSeries](b, "/api/v1/metrics/time-series", "metric_type", "usage", "time_range", "7d")
		require.Equal(t, api.IntervalHourly, got.Interval)
		require.Len(t, got.DataPoints, 3)
		require.Nil(t, got.DataPoints[0].TotalRequests)
		require.False(t, got.DataPoints[2].Complete, "the hour is not over")
	})
	t.Run("days begin at the zone's midnight", func(t *testing.T) {
		got := ask[api.TimeSeries](b, "/api/v1/metrics/time-series", "metric_type", "usage", "time_range", "7d",
			"interval", "daily", "time_zone", "Asia/Kolkata")
		require.Equal(t, time.Date(2026, 3, 16, 18, 30, 0, 0, time.UTC), got.DataPoints[0].Timestamp)
	})
	t.Run("the metric type is needed", func(*testing.T) {
		b.refused(http.StatusBadRequest, "/api/v1/metrics/time-series")
		b.refused(http.StatusBadRequest, "/api/v1/metrics/time-series", "metric_type", "all")
	})
}

func TestUsageCount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := before(time.Minute)
	b.events(event.Usage{Timestamp: at, SessionID: "s1"}, event.Usage{Timestamp: at, SessionID: "s2", App: "desk"},
		event.Usage{Timestamp: at, UserID: "bob"})
	const path = "/api/v1/metrics/usage/count"

	for name, c := range map[string]struct {
		caller auth.Caller
		query  []string
		status int
		count  int64
	}{
		"a user counts their own":                 {auth.Caller{Kind: auth.KindUser, UserID: "ada"}, nil, 200, 2},
		"of one session":                          {auth.Caller{Kind: auth.KindUser, UserID: "ada"}, []string{"session_id", "s2"}, 200, 1},
		"a user may not name another":             {auth.Caller{Kind: auth.KindUser, UserID: "ada", Admin: true}, []string{"user_id", "bob"}, 400, 0},
		"a key counts its own app's":              {auth.Caller{Kind: auth.KindApp, App: "desk"}, []string{"user_id", "ada"}, 200, 1},
		"a key must name the user":                {auth.Caller{Kind: auth.KindApp, App: "desk"}, nil, 400, 0},
		"a service of an app counts as its key":   {auth.Caller{Kind: auth.KindService, App: "shop"}, []string{"user_id", "bob"}, 200, 1},
		"a service without an app has no one's":   {auth.Caller{Kind: auth.KindService}, []string{"user_id", "bob"}, 403, 0},
		"somebody without events has none of any": {auth.Caller{Kind: auth.KindUser, UserID: "zoe"}, nil, 200, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b.caller = c.caller
			if c.status != http.StatusOK {
				b.refused(c.status, path, c.query...)
				return
			}
			require.Equal(t, c.count, ask[api.UsageCount](b, path, c.query...).Count)
		})
	}
}

func sum(list []int64) (total int64) {
	for _, n := range list {
		total += n
	}
	return total
}
