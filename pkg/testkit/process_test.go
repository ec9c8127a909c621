package testkit_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// leakVariable makes TestLeaks leak: it is run by TestMain's own test, in a process of
// its own.
const leakVariable = "TESTKIT_TEST_LEAKS"

func TestLeaks(*testing.T) {
	if os.Getenv(leakVariable) != "" {
		go func() { select {} }()
	}
}

// runAgain runs tests of this package in a process of its own.
func runAgain(t *testing.T, tests string, environment ...string) (output string, err error) {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), binary, "-test.run="+tests)
	cmd.Env = append(os.Environ(), environment...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestMainChecks(t *testing.T) {
	t.Run("a clean run passes", func(t *testing.T) {
		out, err := runAgain(t, "^TestLeaks$")
		require.NoError(t, err, out)
	})
	t.Run("a goroutine that is left fails it", func(t *testing.T) {
		out, err := runAgain(t, "^TestLeaks$", leakVariable+"=1")
		require.Error(t, err)
		require.Contains(t, out, "found unexpected goroutines")
	})
}

func TestProcessesAtOnce(t *testing.T) {
	results := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := runAgain(t, "^TestDatabase$", "TMPDIR="+t.TempDir())
			results <- err
		}()
	}
	require.NoError(t, testkit.Receive(t, "the one process", results))
	require.NoError(t, testkit.Receive(t, "the other process", results))
}

func TestGivenServer(t *testing.T) {
	given := testkit.OwnPostgres(t)
	t.Run("takes the databases, and is left as it was", func(t *testing.T) {
		before := databases(t, given.DSN())
		out, err := runAgain(t, "^TestDatabase$", testkit.ServerVariable+"="+given.DSN())
		require.NoError(t, err, out)
		require.Equal(t, before, databases(t, given.DSN()))
	})
	t.Run("must be a URL", func(t *testing.T) {
		out, err := runAgain(t, "^TestDatabase$", testkit.ServerVariable+"=host=127.0.0.1")
		require.Error(t, err)
		require.Contains(t, out, testkit.ServerVariable)
	})
}

func databases(t *testing.T, dsn string) []string {
	t.Helper()
	rows, err := connect(t, dsn).Query(t.Context(), "SELECT datname FROM pg_database ORDER BY 1")
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}
