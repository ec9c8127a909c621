package query

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
)

// A day of India begins at 18:30 UTC and one of Nepal at 18:15: what happened after
// it counts in it although the raw rows are gone.
func TestDaysOfHalfHourZones(t *testing.T) {
	t.Parallel()
	hour := time.Date(2026, 3, 10, 18, 0, 0, 0, time.UTC)
	prepare := func(t *testing.T, whole bool) *bundle {
		b := setup(t)
		b.requests(event.Performance{Timestamp: hour.Add(45 * time.Minute), ResponseTimeMS: 5, UserID: "ada"})
		b.receipt(event.KindPerformance, hour, 1)
		start := hour.Add(30 * time.Minute)
		if whole {
			start = hour
		}
		b.writeAggregates(event.KindPerformance, start, 0, `
SELECT app, endpoint, method, '', coalesce(user_id, ''), response_time_ms, NULL, NULL FROM performance_metrics`)
		b.exec(`UPDATE hour_receipts SET whole = $1`, whole)
		b.exec(`UPDATE purge_line SET purged_before = $1`, hour.Add(24*time.Hour))
		b.exec(`TRUNCATE performance_metrics`)
		return b
	}
	for zone, begins := range map[string]time.Duration{"Asia/Kolkata": 30 * time.Minute, "Asia/Kathmandu": 15 * time.Minute} {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			got := ask[api.TimeSeries](prepare(t, false), "/api/v1/metrics/time-series", "metric_type", "performance", "time_range", "30d",
				"interval", "daily", "time_zone", zone)
			require.Len(t, got.DataPoints, 1)
			p := got.DataPoints[0]
			require.Equal(t, hour.Add(begins), p.Timestamp)
			require.EqualValues(t, 1, *p.TotalRequests)
			require.EqualValues(t, 1, *p.ActiveUsers)
			require.Nil(t, p.Cut)
		})
	}
	t.Run("where the hour was aggregated as a whole, the answer says that it may be wrong", func(t *testing.T) {
		t.Parallel()
		got := ask[api.TimeSeries](prepare(t, true), "/api/v1/metrics/time-series", "metric_type", "performance", "time_range", "30d",
			"interval", "daily", "time_zone", "Asia/Kolkata")
		require.Len(t, got.DataPoints, 1)
		require.NotNil(t, got.DataPoints[0].Cut)
	})
}
