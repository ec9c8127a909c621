package rebuild_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/pkg/testkit/installation"
	"github.com/lakepulse/lakepulse/tools/rebuild"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestRebuild(t *testing.T) {
	t.Parallel()
	s := installation.Start(t)
	performance, usage := eventtest.Performance("orders", 300, installation.Recent()), eventtest.Usage("shop", 200, installation.Recent())
	s.Publish(performance, usage)
	s.Write(2)

	t.Run("of what is all there changes nothing", func(t *testing.T) {
		report, err := rebuild.Run(t.Context(), s.JS, s.Pool, time.Now, nil)
		require.NoError(t, err)
		require.EqualValues(t, 500, report.Duplicate)
		require.Zero(t, report.Stored)
		require.False(t, report.Reach.IsZero(), "it says how far the log reaches")
	})

	t.Run("after a truncation everything is there again", func(t *testing.T) {
		s.Exec(`INSERT INTO usage_events (id, "timestamp", received_at, app, event_type, user_id) VALUES (gen_random_uuid(), $1, $1, 'old', 'x', 'u')`, installation.Recent())
		plan, err := rebuild.ReadPlan(t.Context(), s.JS, s.Pool)
		require.NoError(t, err)
		require.EqualValues(t, 501, plan.Rows)
		require.NoError(t, rebuild.Truncate(t.Context(), s.Pool))
		require.Empty(t, s.IDs())
		report, err := rebuild.Run(t.Context(), s.JS, s.Pool, time.Now, nil)
		require.NoError(t, err)
		require.EqualValues(t, 500, report.Stored)
		require.Equal(t, installation.IDsOf(performance, usage), s.IDs())
	})

	t.Run("nothing is stored below the purge line", func(t *testing.T) {
		s.Exec(`UPDATE purge_line SET purged_before = now()`)
		require.NoError(t, rebuild.Truncate(t.Context(), s.Pool))
		report, err := rebuild.Run(t.Context(), s.JS, s.Pool, time.Now, nil)
		require.NoError(t, err)
		require.EqualValues(t, 500, report.Summarised)
		require.Empty(t, s.IDs())
	})
}
