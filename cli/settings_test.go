package cli

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/settings"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestSettingsCommand(t *testing.T) {
	t.Parallel()
	url, nats := testkit.Database(t), testkit.NATS(t).URL()
	var out, errs bytes.Buffer
	e := &env{ctx: t.Context(), logger: slog.New(slog.DiscardHandler), out: &out, errs: &errs, getenv: func(string) string { return "" }}
	c := &commands{}
	c.Settings.DatabaseURL, c.Settings.NATSURL = url, nats
	recorded := func() settings.Values {
		t.Helper()
		cfg := postgres.DefaultConfig()
		cfg.URL = url
		pool, err := postgres.Open(t.Context(), cfg)
		require.NoError(t, err)
		defer pool.Close()
		v, err := metricsdb.ReadSettings(t.Context(), pool)
		require.NoError(t, err)
		return v
	}

	require.NoError(t, settingsListCmd{}.Run(e, c))
	require.Contains(t, out.String(), "raw-retention\t168h\t-\tdefault, not recorded yet")

	t.Run("a longer retention is set, and what will happen is said", func(t *testing.T) {
		require.NoError(t, (&settingsSetCmd{Change: "raw-retention=720h"}).Run(e, c))
		require.Equal(t, settings.Values{RawRetention: 30 * 24 * 3600e9}, recorded())
		require.Contains(t, errs.String(), "168h → 720h")
		require.Contains(t, errs.String(), "744h, a day more")
	})
	t.Run("what deletes data waits for a yes", func(t *testing.T) {
		require.ErrorContains(t, (&settingsSetCmd{Change: "raw-retention=24h"}).Run(e, c), "--yes")
		require.Equal(t, "720h", recorded().Get(settings.RawRetention))
		require.NoError(t, (&settingsSetCmd{Change: "raw-retention=24h", Yes: true}).Run(e, c))
		require.Equal(t, "24h", recorded().Get(settings.RawRetention))
	})
	t.Run("what makes no sense is refused by name", func(t *testing.T) {
		for change, says := range map[string]string{"raw-retention": "NAME=VALUE", "raw=1h": "there is no such setting", "raw-retention=soon": "raw-retention",
			"aggregate-retention=1h": "must not be shorter"} {
			require.ErrorContains(t, (&settingsSetCmd{Change: change, Yes: true}).Run(e, c), says)
		}
	})
}
