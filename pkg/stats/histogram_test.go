package stats_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/stats"
)

// shapes are the distributions that histograms are known to get wrong.
var shapes = map[string]func(*rand.Rand) float64{
	"uniform":             func(r *rand.Rand) float64 { return 0.1 + r.Float64()*1000 },
	"long tail":           func(r *rand.Rand) float64 { return min(20*math.Exp(r.NormFloat64()*2), 3.6e6) },
	"two far peaks":       func(r *rand.Rand) float64 { return []float64{1, 30000}[r.IntN(2)] * (1 + r.Float64()/1000) },
	"all the same":        func(*rand.Rand) float64 { return 17.3 },
	"a bound, just below": func(r *rand.Rand) float64 { _, below := stats.Bounds(1 + r.IntN(879)); return math.Nextafter(below, 0) },
	"a bound, exactly":    func(r *rand.Rand) float64 { from, _ := stats.Bounds(1 + r.IntN(879)); return from },
	"the whole scale":     func(r *rand.Rand) float64 { return stats.Least * math.Exp(r.Float64()*math.Log(3.6e7)) },
	"one slow in a hundred": func(r *rand.Rand) float64 {
		if r.IntN(100) == 0 {
			return 3.5e6
		}
		return 0.1 + r.Float64()
	},
}

// atRank is Postgres' percentile_disc.
func atRank(sorted []float64, q float64) float64 {
	return sorted[max(int(math.Ceil(q*float64(len(sorted)))), 1)-1]
}

func sample(r *rand.Rand, n int, shape func(*rand.Rand) float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = shape(r)
	}
	return values
}

func histogramOf(values []float64) *stats.Histogram {
	var h stats.Histogram
	for _, v := range values {
		h.Add(v)
	}
	return &h
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	for name, shape := range shapes {
		t.Run("is within the bound of the value at its rank: "+name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(1, 2))
			for _, n := range []int{1, 2, 3, 10, 99, 100, 101, 5000} {
				values := sample(r, n, shape)
				h := histogramOf(values)
				slices.Sort(values)
				for _, q := range []float64{0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1} {
					want := atRank(values, q)
					require.LessOrEqual(t, math.Abs(h.Quantile(q)-want), stats.RelativeError*want, "q %v of %d", q, n)
				}
				require.Equal(t, values[0], h.Min())
				require.Equal(t, values[n-1], h.Max())
				require.EqualValues(t, n, h.Count())
			}
		})
	}

	t.Run("of nothing is 0", func(t *testing.T) {
		t.Parallel()
		require.Zero(t, new(stats.Histogram).Quantile(0.5))
	})

	t.Run("values outside the scale are counted and answer with the extremes", func(t *testing.T) {
		t.Parallel()
		h := histogramOf([]float64{0, 0, 0.01, 5, 4e6, 5e6, 9e6})
		require.EqualValues(t, 7, h.Count())
		require.Zero(t, h.Quantile(0.3))
		require.InEpsilon(t, 5, h.Quantile(0.5), stats.RelativeError)
		require.Equal(t, 9e6, h.Quantile(0.8))
	})
}

func TestMerge(t *testing.T) {
	t.Parallel()

	t.Run("any split in any order is the whole", func(t *testing.T) {
		t.Parallel()
		r := rand.New(rand.NewPCG(3, 4))
		for name, shape := range shapes {
			values := sample(r, 3000, shape)
			whole := histogramOf(values)
			for range 5 {
				require.Equal(t, facts(whole), facts(mergeAll(r, split(r, values))), name)
			}
		}
	})

	t.Run("grouping does not matter", func(t *testing.T) {
		t.Parallel()
		r := rand.New(rand.NewPCG(5, 6))
		parts := make([]*stats.Histogram, 3)
		for i := range parts {
			parts[i] = histogramOf(sample(r, 500, shapes["long tail"]))
		}
		left, right, tail := new(stats.Histogram), new(stats.Histogram), new(stats.Histogram)
		left.Merge(parts[0])
		left.Merge(parts[1])
		left.Merge(parts[2])
		tail.Merge(parts[2])
		tail.Merge(parts[1])
		right.Merge(tail)
		right.Merge(parts[0])
		require.Equal(t, facts(left), facts(right))
	})

	t.Run("nothing added changes nothing", func(t *testing.T) {
		t.Parallel()
		h := histogramOf([]float64{3, 4})
		before := facts(h)
		h.Merge(new(stats.Histogram))
		require.NoError(t, h.AddEncoded(nil, 0, 0))
		require.Equal(t, before, facts(h))
	})

	t.Run("a reset histogram is as new", func(t *testing.T) {
		t.Parallel()
		h := histogramOf([]float64{3, 400})
		h.Reset()
		h.Add(7)
		require.Equal(t, facts(histogramOf([]float64{7})), facts(h))
	})
}

// split deals values to a random number of parts.
func split(r *rand.Rand, values []float64) [][]float64 {
	parts := make([][]float64, 1+r.IntN(20))
	for _, v := range values {
		i := r.IntN(len(parts))
		parts[i] = append(parts[i], v)
	}
	r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return parts
}

// mergeAll merges half of the parts directly and half through the encoding.
func mergeAll(r *rand.Rand, parts [][]float64) *stats.Histogram {
	var all stats.Histogram
	for _, part := range parts {
		h := histogramOf(part)
		if r.IntN(2) == 0 {
			all.Merge(h)
		} else if err := all.AddEncoded(h.Append(nil), h.Min(), h.Max()); err != nil {
			panic(err)
		}
	}
	return &all
}

type histogramFacts struct {
	Min, Max float64
	Count    uint64
	Encoded  []byte
}

func facts(h *stats.Histogram) histogramFacts {
	return histogramFacts{h.Min(), h.Max(), h.Count(), h.Append(nil)}
}

func TestBucket(t *testing.T) {
	t.Parallel()

	t.Run("a value lies in its bucket", func(t *testing.T) {
		t.Parallel()
		r := rand.New(rand.NewPCG(7, 8))
		for range 100_000 {
			v := math.Exp(r.Float64()*25 - 5)
			from, below := stats.Bounds(stats.Bucket(v))
			require.True(t, from <= v && v < below, "%v not in [%v, %v)", v, from, below)
		}
	})

	t.Run("bounds belong to the upper bucket", func(t *testing.T) {
		t.Parallel()
		for b := 1; b < stats.Buckets; b++ {
			from, _ := stats.Bounds(b)
			require.Equal(t, b, stats.Bucket(from))
			require.Equal(t, b-1, stats.Bucket(math.Nextafter(from, 0)))
		}
	})

	t.Run("no bucket is wider than the error allows", func(t *testing.T) {
		t.Parallel()
		for b := 1; b < stats.Buckets-1; b++ {
			from, below := stats.Bounds(b)
			require.Less(t, (below-from)/(below+from), stats.RelativeError)
		}
	})

	t.Run("odd values have a place", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, 0, stats.Bucket(0))
		require.Equal(t, 0, stats.Bucket(-1))
		require.Equal(t, stats.Buckets-1, stats.Bucket(math.Inf(1)))
		require.Equal(t, stats.Buckets-1, stats.Bucket(math.NaN()))
	})
}

func TestAddEncoded(t *testing.T) {
	t.Parallel()
	t.Run("what is no histogram is refused", func(t *testing.T) {
		t.Parallel()
		var h stats.Histogram
		require.Error(t, h.AddEncoded([]byte{1, 2, 3}, 0, 0))
		require.Error(t, h.AddEncoded([]byte{0xff, 0xff, 0, 0, 0, 0, 0, 1}, 0, 0))
	})
}

func BenchmarkAddEncoded(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	data := histogramOf(sample(r, 5000, shapes["long tail"])).Append(nil)
	b.SetBytes(int64(len(data)))
	var h stats.Histogram
	for b.Loop() {
		if err := h.AddEncoded(data, 1, 2); err != nil {
			b.Fatal(err)
		}
	}
}
