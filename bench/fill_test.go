package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/bench/rig"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
)

func TestFill(t *testing.T) {
	pg, err := rig.StartPostgres(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pg.Close(context.WithoutCancel(t.Context()))) })
	_, pool, err := pg.Migrated(t.Context(), "fill")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	day := time.Now().UTC().Truncate(24 * time.Hour)
	require.NoError(t, rawstore.New(pool, nil).EnsureDays(t.Context(), day, day.Add(24*time.Hour)))

	const n = fillChunk + 123 // a whole piece and a part of one
	require.NoError(t, fillRequests(t.Context(), pool, []stretch{over(day, day.Add(12*time.Hour), n), over(day.Add(12*time.Hour), day.Add(13*time.Hour), 77)}))

	t.Run("every row is there once, at its own time, with all its columns", func(t *testing.T) {
		var rows, ids, times, whole int
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*), count(DISTINCT id), count(DISTINCT "timestamp"),
			count(*) FILTER (WHERE `+wholeRow+`) FROM performance_metrics`).Scan(&rows, &ids, &times, &whole))
		require.Equal(t, []int{n + 77, n + 77, n + 77, n + 77}, []int{rows, ids, times, whole})
	})
	t.Run("a contender is complete with these events, and with no other number of them", func(t *testing.T) {
		c := &contender{name: "some", pool: pool, whole: wholeOurs}
		require.NoError(t, c.complete(t.Context(), n+77))
		require.ErrorContains(t, c.complete(t.Context(), n+78), "some stored 50200 different and whole events of 50201")
	})
	t.Run("one that left a column out is not", func(t *testing.T) {
		c := &contender{pool: pool, whole: wholeOurs}
		_, err := pool.Exec(t.Context(), `UPDATE performance_metrics SET user_id = NULL WHERE "timestamp" = (SELECT min("timestamp") FROM performance_metrics)`)
		require.NoError(t, err)
		require.Error(t, c.complete(t.Context(), n+77))
	})
	t.Run("one that stored an event twice in place of another is not", func(t *testing.T) {
		_, err := pool.Exec(t.Context(), `UPDATE performance_metrics SET user_id = 'user001@example.com' WHERE user_id IS NULL`)
		require.NoError(t, err)
		c := &contender{pool: pool, whole: wholeOurs}
		require.NoError(t, c.complete(t.Context(), n+77))
		_, err = pool.Exec(t.Context(), `WITH e AS (SELECT "timestamp" AS at, id FROM performance_metrics ORDER BY 1 LIMIT 2)
			UPDATE performance_metrics SET id = (SELECT id FROM e ORDER BY at LIMIT 1) WHERE id = (SELECT id FROM e ORDER BY at DESC LIMIT 1)`)
		require.NoError(t, err)
		require.Error(t, c.complete(t.Context(), n+77))
	})
	t.Run("the rows keep within their stretch", func(t *testing.T) {
		var first, last time.Time
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT min("timestamp"), max("timestamp") FROM performance_metrics`).Scan(&first, &last))
		require.True(t, first.Equal(day), "%s", first)
		require.True(t, last.Before(day.Add(13*time.Hour)) && last.After(day.Add(12*time.Hour)), "%s", last)
	})
}

func TestInTurns(t *testing.T) {
	at := time.Unix(0, 0)
	turns := inTurns([]stretch{{at, 1, 2*fillChunk + 1}, {at.Add(time.Hour), 1, fillChunk}})
	var sizes []int
	for _, s := range turns {
		sizes = append(sizes, s.n)
	}
	require.Equal(t, []int{fillChunk, fillChunk, fillChunk, 1}, sizes)
	require.Equal(t, at.Add(time.Hour), turns[1].from)
	require.Equal(t, at.Add(fillChunk), turns[2].from)
}

func TestCopyTemplate(t *testing.T) {
	tpl := newCopyTemplate(3, rand.New(rand.NewPCG(1, 2)))
	require.Len(t, tpl.rows, 4)
	require.Equal(t, []byte{0xff, 0xff}, tpl.data[tpl.rows[3]:], "the rows end where the trailer begins")
}
