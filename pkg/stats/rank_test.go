package stats_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/stats"
)

func TestRank(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	var h stats.Histogram
	values := make([]float64, 500)
	for i := range values {
		values[i] = math.Exp(random.NormFloat64()*6 + 2) // beyond both ends too
		h.Add(values[i])
	}
	slices.Sort(values)
	for i, v := range values {
		bucket, below := h.Rank(uint64(i + 1))
		lower, upper := stats.Bounds(bucket)
		require.True(t, lower <= v && v < upper, "rank %d", i+1)
		require.True(t, below == 0 || values[below-1] < lower)
		require.Greater(t, below+h.In(bucket), uint64(i))
		require.LessOrEqual(t, below, uint64(i))
	}
}
