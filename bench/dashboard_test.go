package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/bench/rig"
)

func TestHistory(t *testing.T) {
	pg, err := rig.StartPostgres(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pg.Close(context.WithoutCancel(t.Context()))) })
	_, pool, err := pg.Migrated(t.Context(), "history")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	to := time.Now().UTC().Truncate(time.Hour)
	from := to.Add(-history).Add(2 * time.Hour)
	require.NoError(t, fillHistory(t.Context(), pool, 20_000, from, to))

	t.Run("the pass computes the percentiles: what nobody reads Postgres leaves out", func(t *testing.T) {
		rows, err := pool.Query(t.Context(), `EXPLAIN (VERBOSE) `+groupByPass)
		require.NoError(t, err)
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.Contains(t, strings.Join(plan, "\n"), "percentile_cont(")
	})
	t.Run("its groups hold all rows of 90 days, and the hours are marked", func(t *testing.T) {
		var groups, requests, actions, marks int
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT count, requests::bigint FROM (`+
			strings.Replace(groupByPass, "SELECT count(*), sum(requests), ", "SELECT count(*), sum(requests) AS requests, ", 1)+`) AS pass`).Scan(&groups, &requests))
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM usage_events), (SELECT count(*) FROM hour_marks)`).Scan(&actions, &marks))
		require.Equal(t, []int{20_000, 2_000}, []int{requests, actions})
		require.Greater(t, groups, 2000)
		require.GreaterOrEqual(t, marks, 2*(90*24-2))
	})
	t.Run("every exact query answers", func(t *testing.T) {
		for _, rg := range ranges {
			if rg.bucket != "" {
				_, err := exactly(t.Context(), pool, rg.days, rg.bucket)
				require.NoError(t, err)
			}
		}
	})
	t.Run("no purge has taken place, and one would be seen", func(t *testing.T) {
		require.NoError(t, unpurged(t.Context(), pool, from))
		_, err := pool.Exec(t.Context(), `UPDATE purge_line SET purged_before = $1`, from.Add(time.Hour))
		require.NoError(t, err)
		require.ErrorContains(t, unpurged(t.Context(), pool, from), "purged")
	})
}
