package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// The driver asks the server to cancel what it gives up (pgconn's asyncClose).
// Should it ever stop to, everything whose caller has left would run on until a
// timeout, and keep a connection and a processor from those who still wait.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	url := testkit.Database(t)
	pool, watch := open(t, url), open(t, url)
	const running = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'
		AND query LIKE '%abandoned%' AND pid <> pg_backend_pid()`

	t.Run("a statement whose caller has left stops on the server", func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- postgres.Snapshot(ctx, pool, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, `SELECT 'abandoned', pg_sleep(600)`)
				return err
			})
		}()
		count := func() int {
			var n int
			require.NoError(t, watch.QueryRow(t.Context(), running).Scan(&n))
			return n
		}
		testkit.Eventually(t, "the statement runs", func() bool { return count() == 1 })
		leave()
		require.Error(t, testkit.Receive(t, "the caller's error", ended))
		testkit.Eventually(t, "the backend stops", func() bool { return count() == 0 })
	})
}
