package services_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/apps"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services"
)

func TestKeyOfANewInstallation(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	cfg := outside(t, "", dsn)
	cfg.DataDir = testkit.DataDir(t)
	cfg.Ingest.LedgerEvery = 50 * time.Millisecond
	run(t, services.All, cfg)
	await(t, cfg, "/ready", ready)

	database := postgres.DefaultConfig()
	database.URL = dsn
	pool, err := postgres.Open(t.Context(), database)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	registry := apps.NewRegistry(pool, time.Now)
	plain, _, err := registry.CreateKey(t.Context(), "shop", "", apps.CommandLine)
	require.NoError(t, err)
	lastUse := func() *time.Time {
		list, err := registry.List(t.Context())
		require.NoError(t, err)
		return list[0].Keys[0].LastUsed
	}
	require.Nil(t, lastUse())

	body := `{"events":[{"timestamp":"` + time.Now().UTC().Format(time.RFC3339Nano) + `","endpoint":"/","method":"GET","status_code":200,"response_time_ms":1}]}`
	testkit.Eventually(t, "ingest to know the key that was made without the log", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+cfg.Listen+"/api/v1/metrics/performance-events", strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("X-Lakepulse-Key", plain)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode == http.StatusAccepted
	})
	testkit.Eventually(t, "the key's last use to be recorded", func() bool { return lastUse() != nil })
	require.WithinDuration(t, time.Now(), *lastUse(), time.Minute)
}
