package cli_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// address waits for a role to serve and returns its URL.
func address(t *testing.T, errs *safeBuffer) string {
	t.Helper()
	var found string
	testkit.Eventually(t, "the role to serve", func() bool {
		found = regexp.MustCompile(`address=(http://127\.0\.0\.1:\d+)`).FindString(errs.String())
		return found != ""
	})
	return strings.TrimPrefix(found, "address=")
}

func get(t *testing.T, url string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

func TestRolesServeAndStop(t *testing.T) {
	t.Parallel()
	nats, dsn := testkit.NATS(t).URL(), testkit.Database(t)
	common := []string{"--listen", "127.0.0.1:0", "--ops-listen", "none", "--nats", nats}
	for role, flags := range map[string][]string{
		"all":       {"--auth", "dev", "--database", dsn},
		"ingest":    {"--auth", "dev"},
		"writer":    {"--database", dsn},
		"query":     {"--auth", "dev", "--database", dsn},
		"aggregate": {"--auth", "dev", "--database", dsn, "--no-migrate"},
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			_, errs, stop := background(t, append(append([]string{role}, common...), flags...)...)
			url := address(t, errs)
			testkit.Eventually(t, "the role to be ready", func() bool { return get(t, url+"/ready") == http.StatusOK })
			require.Zero(t, stop(), errs.String())
		})
	}
}

// A role that was stopped before it reached its dependencies did what it was told.
func TestRolesStopWithoutTheirDependencies(t *testing.T) {
	t.Parallel()
	common := []string{"--listen", "127.0.0.1:0", "--ops-listen", "none", "--nats", "nats://127.0.0.1:1"}
	for role, flags := range map[string][]string{
		"all":       {"--auth", "dev", "--database", unreachable},
		"ingest":    {"--auth", "dev"},
		"writer":    {"--database", unreachable},
		"query":     {"--auth", "dev", "--database", unreachable},
		"aggregate": {"--auth", "dev", "--database", unreachable},
	} {
		for name, await := range map[string]string{"while it starts": "not ready", "after it has started": "address="} {
			t.Run(role+" "+name, func(t *testing.T) {
				t.Parallel()
				_, errs, stop := background(t, append(append([]string{role}, common...), flags...)...)
				testkit.Eventually(t, "the log line "+await, func() bool { return strings.Contains(errs.String(), await) })
				require.Zero(t, stop(), errs.String())
				require.NotContains(t, errs.String(), "hunter2")
			})
		}
	}
}
