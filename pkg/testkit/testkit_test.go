package testkit_test

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func hasSchema(t *testing.T, dsn string) (found bool) {
	t.Helper()
	query := "SELECT count(*) > 0 FROM pg_tables WHERE schemaname = 'metrics'"
	require.NoError(t, connect(t, dsn).QueryRow(t.Context(), query).Scan(&found))
	return found
}

func TestDatabase(t *testing.T) {
	t.Run("is migrated", func(t *testing.T) {
		require.True(t, hasSchema(t, testkit.Database(t)))
	})
	t.Run("an empty one is not", func(t *testing.T) {
		require.False(t, hasSchema(t, testkit.EmptyDatabase(t)))
	})
	t.Run("many at once are apart", func(t *testing.T) {
		var mu sync.Mutex
		seen := map[string]bool{}
		t.Run("group", func(t *testing.T) {
			for range 8 {
				t.Run("one", func(t *testing.T) {
					t.Parallel()
					dsn := testkit.Database(t)
					mu.Lock()
					defer mu.Unlock()
					require.False(t, seen[dsn])
					seen[dsn] = true
					_, err := connect(t, dsn).Exec(t.Context(), "CREATE TABLE public.only_here ()")
					require.NoError(t, err)
				})
			}
		})
		require.Len(t, seen, 8)
	})
	t.Run("is dropped with its test, whoever is connected", func(t *testing.T) {
		var dsn string
		t.Run("inner", func(t *testing.T) { dsn = testkit.Database(t) })
		_, err := pgx.Connect(t.Context(), dsn)
		require.ErrorContains(t, err, "does not exist")
	})
}
