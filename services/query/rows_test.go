package query

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/records"
)

func TestRequests(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var list []event.Performance
	for i := range 30 {
		list = append(list, event.Performance{Timestamp: before(time.Duration(i+1) * time.Minute), ResponseTimeMS: float64(100 - i), UserID: "ada"})
	}
	list[3].StatusCode, list[3].ErrorType, list[3].InteractionID = 503, "Gone", "i1"
	list[4].StatusCode, list[4].UserID = 301, "bob"
	b.requests(list...)
	const path = "/api/v1/metrics/requests"

	t.Run("the newest come first, and more is said to be there", func(t *testing.T) {
		got := ask[api.RequestList](b, path, "limit", "10")
		require.Len(t, got.Requests, 10)
		require.True(t, got.Truncated)
		require.Equal(t, before(time.Minute), got.Requests[0].Timestamp)
		require.Equal(t, got.StartTime, *got.Sources.RawFrom)
		require.False(t, ask[api.RequestList](b, path, "limit", "30").Truncated)
	})
	t.Run("or the slowest", func(t *testing.T) {
		got := ask[api.RequestList](b, path, "order", "slowest", "limit", "2")
		require.InDelta(t, 99, got.Requests[1].ResponseTimeMs, 0)
	})
	t.Run("narrowed by what a request is", func(t *testing.T) {
		for _, c := range []struct {
			query []string
			want  int
		}{
			{[]string{"status_class", "error"}, 1}, {[]string{"status_class", "5xx"}, 1}, {[]string{"status_class", "4xx"}, 0},
			{[]string{"status_class", "3xx"}, 1}, {[]string{"status_class", "2xx"}, 28}, {[]string{"error_type", "Gone"}, 1},
			{[]string{"user_id", "bob"}, 1}, {[]string{"interaction_id", "i1"}, 1}, {[]string{"endpoint", "/none"}, 0},
		} {
			got := ask[api.RequestList](b, path, c.query...)
			require.Len(t, got.Requests, c.want, "%v", c.query)
			require.NotNil(t, got.Requests)
		}
	})
	t.Run("limits are bounded", func(*testing.T) {
		for _, limit := range []string{"0", "1001", "many"} {
			b.refused(http.StatusBadRequest, path, "limit", limit)
		}
	})
	t.Run("before the raw window there are none, which is no error", func(t *testing.T) {
		b := setup(t)
		b.exec(`UPDATE purge_line SET purged_before = $1`, before(7*history.Day).Truncate(time.Hour))
		got := ask[api.RequestList](b, path, "start", rfc(before(20*history.Day)), "end", rfc(before(10*history.Day)))
		require.Empty(t, got.Requests)
		require.Nil(t, got.Sources.RawFrom)
		require.Equal(t, api.AlignmentNone, got.Sources.Alignment)
	})
}

func TestDetails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	yes := true
	b.requests(
		event.Performance{Timestamp: before(time.Hour), ResponseTimeMS: 10, UserID: "ada"},
		event.Performance{Timestamp: before(time.Hour), ResponseTimeMS: 30, UserID: "ada", StatusCode: 500},
		event.Performance{Timestamp: before(2 * time.Hour), ResponseTimeMS: 20, UserID: "bob", StatusCode: 404, ErrorType: "Missing"},
		event.Performance{Timestamp: before(2 * time.Hour), ResponseTimeMS: 20, UserID: "cyd", Method: "POST"},
	)
	b.events(
		event.Usage{Timestamp: before(time.Hour), EventType: "form_submit", PageName: "/a", ElementID: "f", UserID: "ada", Success: &yes},
		event.Usage{Timestamp: before(time.Hour), EventType: "form_submit", PageName: "/b", UserID: "bob"},
		event.Usage{Timestamp: before(time.Hour), PageName: "/a", UserID: "cyd"},
	)
	t.Run("an endpoint", func(t *testing.T) {
		got := ask[api.EndpointDetail](b, "/api/v1/metrics/endpoint", "endpoint", "/orders", "method", "GET")
		require.EqualValues(t, 3, got.Metrics.TotalRequests)
		require.EqualValues(t, 2, got.Metrics.ActiveUsers)
		require.Equal(t, map[string]int64{"200": 1, "404": 1, "500": 1}, got.StatusCodes)
		require.Equal(t, map[string]int64{"": 1, "Missing": 1}, got.ErrorTypes)
		require.EqualValues(t, 2, got.UsersAffected)
		require.Equal(t, "ada", got.Users[0].UserID)
		require.InDelta(t, 30, got.SlowestRequests[0].ResponseTimeMs, 0)
		require.Len(t, got.DataPoints, 2)
		require.Nil(t, got.App)
	})
	t.Run("one that was never called", func(t *testing.T) {
		got := ask[api.EndpointDetail](b, "/api/v1/metrics/endpoint", "endpoint", "/none", "method", "GET")
		require.Zero(t, got.Metrics.TotalRequests)
		b.refused(http.StatusBadRequest, "/api/v1/metrics/endpoint", "endpoint", "/none")
	})
	t.Run("an event type", func(t *testing.T) {
		got := ask[api.EventDetail](b, "/api/v1/metrics/event", "event_type", "form_submit")
		require.EqualValues(t, 2, got.Metrics.TotalEvents)
		require.EqualValues(t, 2, got.Metrics.UniqueUsers)
		require.Equal(t, map[string]int64{"/a": 1, "/b": 1}, got.Pages)
		require.Equal(t, map[string]int64{"f": 1}, got.Elements)
		require.Len(t, got.Users, 2)
		require.EqualValues(t, 2, *got.DataPoints[0].ActiveUsers)
		b.refused(http.StatusBadRequest, "/api/v1/metrics/event")
	})
	t.Run("the apps", func(t *testing.T) {
		b.requests(event.Performance{Timestamp: before(time.Minute), App: "desk"})
		got := ask[api.AppList](b, "/api/v1/apps")
		require.Equal(t, []api.AppSummary{
			{App: "desk", LastSeen: before(time.Minute), Endpoints: 1, Requests: 1},
			{App: "shop", LastSeen: before(time.Hour), Endpoints: 2, Events: 3, Requests: 4},
		}, got.Apps)
	})
}

func TestFeatures(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 4 {
		id := fmt.Sprintf("click-%d", i)
		b.events(event.Usage{Timestamp: before(time.Hour), EventType: event.TypeButtonClick, ElementID: "buy", UserID: fmt.Sprint("u", i%2),
			InteractionID: id})
		b.requests(event.Performance{Timestamp: before(time.Hour), ResponseTimeMS: 1, InteractionID: id},
			event.Performance{Timestamp: before(time.Hour), ResponseTimeMS: float64(100 * (i + 1)), InteractionID: id, Endpoint: "/pay",
				Method: "POST", StatusCode: 200 + 300*(i/3)})
	}
	b.events(event.Usage{Timestamp: before(time.Hour), ElementID: "idle", InteractionID: "without requests"})
	b.requests(event.Performance{Timestamp: before(time.Hour), InteractionID: "click-0", App: "another app's"})

	got := ask[api.FeatureList](b, "/api/v1/metrics/features")
	require.Len(t, got.Features, 1)
	f := got.Features[0]
	require.EqualValues(t, 4, f.Interactions)
	require.EqualValues(t, 8, f.Requests)
	require.EqualValues(t, 2, f.Users)
	require.InDelta(t, 0.25, f.ErrorRate, 0)
	require.InDelta(t, 200, f.P50ResponseTimeMs, 0)
	require.Equal(t, &api.InsufficientSamples{"p95"}, f.InsufficientSamples)
	require.Equal(t, "/pay POST", *f.SlowestEndpoint+" "+*f.SlowestMethod)
	require.Nil(t, f.PageName)
}

func TestExport(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const rows = records.ExportPageRows*2 + 7
	var list []event.Performance
	for i := range rows {
		// Many of one moment, so that pages end between equals.
		list = append(list, event.Performance{Timestamp: before(20*time.Hour - time.Duration(i/1000)*time.Hour), ResponseTimeMS: float64(i), UserID: "ada"})
	}
	b.requests(list...)
	b.events(event.Usage{Timestamp: before(time.Hour), ElementID: "=HYPERLINK(1)", Metadata: json.RawMessage(`{"n": 12345678901234567890}`)},
		event.Usage{Timestamp: before(30 * time.Minute), UserID: "bob"})
	const path = "/api/v1/metrics/export"

	t.Run("NDJSON has every row once, oldest first", func(t *testing.T) {
		rec := b.get(path, "kind", "performance")
		require.Equal(t, http.StatusOK, rec.Code)
		require.Equal(t, "application/x-ndjson", rec.Header().Get("Content-Type"))
		require.Contains(t, rec.Header().Get("Content-Disposition"), `filename="lakepulse-performance-all-apps-20260317T140730Z-20260318T140730Z.ndjson"`)
		seen, last := map[string]bool{}, time.Time{}
		for lines := bufio.NewScanner(rec.Body); lines.Scan(); {
			var r api.RequestRecord
			require.NoError(t, json.Unmarshal(lines.Bytes(), &r))
			require.False(t, seen[r.ID.String()])
			require.False(t, r.Timestamp.Before(last))
			seen[r.ID.String()], last = true, r.Timestamp
		}
		require.Len(t, seen, rows)
	})
	t.Run("CSV has the same with a head", func(t *testing.T) {
		body := b.get(path, "kind", "performance", "format", "csv").Body
		require.Equal(t, "\ufeff", string(body.Next(len("\ufeff"))), "Excel reads a file without the mark in the system's code page")
		lines, err := csv.NewReader(body).ReadAll()
		require.NoError(t, err)
		require.Len(t, lines, rows+1)
		require.Equal(t, records.Of(event.KindPerformance).Head, lines[0])
		require.Len(t, lines[1], len(lines[0]))
	})
	t.Run("usage events keep their metadata to the last digit", func(t *testing.T) {
		body := b.get(path, "kind", "usage").Body.String()
		require.Contains(t, body, "12345678901234567890")
		require.Contains(t, body, `"element_id":"=HYPERLINK(1)"`)
	})
	t.Run("CSV defuses formulas", func(t *testing.T) {
		require.Contains(t, b.get(path, "kind", "usage", "format", "csv").Body.String(), `'=HYPERLINK(1)`)
	})
	t.Run("filters narrow", func(t *testing.T) {
		require.Equal(t, 1, strings.Count(b.get(path, "kind", "usage", "user_id", "bob").Body.String(), "\n"))
		require.Empty(t, b.get(path, "kind", "performance", "status_class", "5xx").Body.String())
	})
	t.Run("the file is named after what is in it", func(t *testing.T) {
		rec := b.get(path, "kind", "usage", "app", "shop", "format", "csv")
		require.Contains(t, rec.Header().Get("Content-Disposition"), `filename="lakepulse-usage-shop-20260317T140730Z-20260318T140730Z.csv"`)
		b.events(event.Usage{Timestamp: before(time.Hour), App: "a \"b\"/ü"})
		rec = b.get(path, "kind", "usage", "app", "a \"b\"/ü")
		require.Contains(t, rec.Header().Get("Content-Disposition"), `filename="lakepulse-usage-a__b___-`)
	})
	t.Run("a filter of the other kind is refused", func(t *testing.T) {
		for _, name := range exportFilters[event.KindPerformance].only {
			value := "x"
			if name == "status_class" {
				value = "5xx"
			}
			got := b.refused(http.StatusBadRequest, path, "kind", "usage", name, value)
			require.Contains(t, got["message"], name+" is no filter of rows of kind usage")
		}
		b.refused(http.StatusBadRequest, path, "kind", "performance", "event_type", "page_view")
	})
	t.Run("the kind is needed", func(*testing.T) {
		b.refused(http.StatusBadRequest, path)
		b.refused(http.StatusBadRequest, path, "kind", "performance", "format", "xlsx")
	})
	t.Run("it begins at the purge line", func(t *testing.T) {
		b.exec(`UPDATE purge_line SET purged_before = $1`, before(17*time.Hour+30*time.Minute))
		require.Equal(t, rows-3000, strings.Count(b.get(path, "kind", "performance").Body.String(), "\n"))
	})
}

// An export has the rows of the list with the same filters, whatever they are.
func TestExportHasWhatTheListHas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 60 {
		b.requests(event.Performance{Timestamp: before(time.Duration(i) * time.Minute), App: []string{"shop", "desk", event.OwnApp}[i%3], Endpoint: fmt.Sprint("/e", i%4),
			Method: []string{"GET", "POST"}[i%2], StatusCode: []int{200, 302, 404, 503}[i%4], ErrorType: []string{"", "", "Missing", "Boom"}[i%4],
			UserID: fmt.Sprint("u", i%5), InteractionID: fmt.Sprint("click", i%6)})
		b.events(event.Usage{Timestamp: before(time.Duration(i) * time.Minute), App: []string{"shop", "desk", event.OwnApp}[i%3], UserID: fmt.Sprint("u", i%5),
			InteractionID: fmt.Sprint("click", i%6)})
	}
	ids := func(r *httptest.ResponseRecorder) (list []string) {
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			var row api.RequestRecord
			require.NoError(t, json.Unmarshal(lines.Bytes(), &row))
			list = append(list, row.ID.String())
		}
		return list
	}
	for _, q := range [][]string{nil, {"app", "shop"}, {"app", event.OwnApp}, {"endpoint", "/e1"}, {"method", "POST"}, {"status_class", "error"},
		{"status_class", "3xx"}, {"error_type", "Boom"}, {"user_id", "u3"}, {"interaction_id", "click4"},
		{"app", "desk", "interaction_id", "click4", "user_id", "u0"}, {"user_id", "nobody"}} {
		list := ask[api.RequestList](b, "/api/v1/metrics/requests", append(q, "limit", "1000")...)
		var want []string
		for _, r := range list.Requests {
			want = append(want, r.ID.String())
		}
		require.ElementsMatch(t, want, ids(b.get("/api/v1/metrics/export", append(q, "kind", "performance")...)), "%v", q)
		csvRows := strings.Count(b.get("/api/v1/metrics/export", append(q, "kind", "performance", "format", "csv")...).Body.String(), "\n")
		require.Equal(t, len(want)+1, csvRows, "%v", q)
	}
	for filter, n := range map[[2]string]int{{"user_id", "u3"}: 8, {"interaction_id", "click4"}: 10, {"interaction_id", "click2"}: 0, {"app", "desk"}: 20} {
		require.Len(t, ids(b.get("/api/v1/metrics/export", "kind", "usage", filter[0], filter[1])), n, "%v", filter)
	}
}

func rfc(t time.Time) string { return t.Format(time.RFC3339Nano) }
