package services

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx/fxtest"
)

func TestSharesOfConnections(t *testing.T) {
	t.Parallel()
	for total := int32(fewestApart); total <= 100; total++ {
		for _, target := range []Target{All, Standalone} {
			work, questions, small := shares(target, total)
			require.Equal(t, total, work+questions+small, "%s with %d", target, total)
			require.GreaterOrEqual(t, work, questions, "the writer comes before questions")
			require.GreaterOrEqual(t, min(work, questions, small), int32(leastConns))
		}
		for _, target := range []Target{Ingest, Writer, Aggregate, Query} {
			work, questions, small := shares(target, total)
			require.Equal(t, total, max(work, questions)+small, "%s with %d", target, total)
			require.Equal(t, target == Query, questions > work)
		}
	}
	work, questions, small := shares(Standalone, 18)
	require.Equal(t, []int32{10, 5, 3}, []int32{work, questions, small}, "the default")
}

func TestProbesNeverShareTheConnectionsOfQuestions(t *testing.T) {
	t.Parallel()
	for total, apart := range map[int32]bool{leastConns: false, fewestApart - 1: false, fewestApart: true, 18: true} {
		cfg := DefaultConfig()
		cfg.Target, cfg.Database.MaxConns = Standalone, total
		lc := fxtest.NewLifecycle(t)
		p, err := openPools(lc, cfg, embeddedDatabaseIn{})
		require.NoError(t, err)
		require.Equal(t, apart, p.Work != p.Questions, "with %d", total)
		require.NotSame(t, p.Questions, p.Probe.Pool, "with %d", total)
		require.NotSame(t, p.Work, p.Probe.Pool, "with %d", total)
		require.GreaterOrEqual(t, p.Probe.Config().MaxConns, int32(leastConns))
		lc.RequireStart().RequireStop()
	}
}
