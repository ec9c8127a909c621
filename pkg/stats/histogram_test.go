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
	"uniform":       func(r *rand.Rand) float64 { return 0.1 + r.Float64()*1000 },
	"long tail":     func(r *rand.Rand) float64 { return min(20*math.Exp(r.NormFloat64()*2), 3.6e6) },
	"two far peaks": func(r *rand.Rand) float64 { return []float64{1, 30000}[r.IntN(2)] * (1 + r.Float64()/1000) },
	"all the same":  func(*rand.Rand) float64 { return 17.3 },
	"a bound, just below": func(r *rand.Rand) float64 {
		_, below := stats.Bounds(2 + r.IntN(1273))
		return math.Nextafter(below, 0)
	},
	"a bound, exactly": func(r *rand.Rand) float64 { from, _ := stats.Bounds(2 + r.IntN(1273)); return from },
	"the whole scale":  func(r *rand.Rand) float64 { return 0.001 * math.Exp(r.Float64()*math.Log(86_400_000/0.001)) },
	"below a tenth":    func(r *rand.Rand) float64 { return []float64{0, 0.012, 0.045, 0.098}[r.IntN(4)] },
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
		h := histogramOf([]float64{0, 0, 1e-5, 5, 9e7, 1e8, 2e8})
		require.EqualValues(t, 7, h.Count())
		require.Zero(t, h.Quantile(0.4))
		require.InEpsilon(t, 5, h.Quantile(0.5), stats.RelativeError)
		require.Equal(t, 2e8, h.Quantile(0.8))
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
		for b := stats.Low; b < stats.Buckets; b++ {
			from, _ := stats.Bounds(b)
			require.Equal(t, b, stats.Bucket(from))
			require.Equal(t, b-1, stats.Bucket(math.Nextafter(from, 0)))
		}
	})

	t.Run("no bucket is wider than the error allows", func(t *testing.T) {
		t.Parallel()
		for b := stats.Low + 1; b < stats.High; b++ {
			from, below := stats.Bounds(b)
			require.Less(t, (below-from)/(below+from), stats.RelativeError)
		}
	})

	t.Run("the scale reaches from a microsecond to a day", func(t *testing.T) {
		t.Parallel()
		require.Less(t, stats.Least, 0.001)
		require.Greater(t, stats.Most, 86_400_000.)
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
		for what, data := range map[string][]byte{"cut short": {0x80}, "a bucket too far": {0xff, 0x7f}, "the same bucket again": {4, 0},
			"a count cut short": {5, 0x80}, "a count that needs none": {5, 1}, "steps too far": {0xc0, 0x13, 0xc0, 0x13}} {
			require.Error(t, h.AddEncoded(data, 0, 0), what)
		}
	})
	t.Run("a list of buckets is encoded as the histogram is", func(t *testing.T) {
		t.Parallel()
		r := rand.New(rand.NewPCG(5, 6))
		for name, shape := range shapes {
			values := sample(r, 300, shape)
			buckets := make([]uint16, len(values))
			for i, v := range values {
				buckets[i] = uint16(stats.Bucket(v))
			}
			slices.Sort(buckets)
			require.Equal(t, histogramOf(values).Append(nil), stats.AppendBuckets(nil, buckets), name)
		}
	})
	t.Run("a quiet hour takes a few bytes", func(t *testing.T) {
		t.Parallel()
		require.LessOrEqual(t, len(histogramOf([]float64{12, 45, 98}).Append(nil)), 5)
	})
}

func TestBound(t *testing.T) {
	t.Parallel()

	t.Run("is a hundredth within the scale", func(t *testing.T) {
		t.Parallel()
		h := histogramOf([]float64{0, 0, 0.001, 0.045, 12, 86_400_000})
		for _, q := range []float64{0.01, 0.3, 0.5, 0.8, 1} {
			require.InDelta(t, stats.RelativeError, h.Bound(q), 0)
		}
		require.InDelta(t, 0, h.Quantile(0.3), 0, "zero is kept exactly")
	})
	t.Run("says what a value of a histogram of the schema before is worth", func(t *testing.T) {
		t.Parallel()
		var h stats.Histogram
		h.AddCount(stats.Low, 50, 0.02, 400)
		h.AddCount(stats.Bucket(400), 40, 0.02, 400)
		require.InDelta(t, 0.02, h.Quantile(0.5), 0)
		require.InDelta(t, 4, h.Bound(0.5), 1e-9, "up to 0.1 instead of 0.02")
		require.InDelta(t, stats.RelativeError, h.Bound(0.95), 0)
		h.AddCount(stats.High, 100, 3_700_000, 7_200_000)
		require.InDelta(t, 1, h.Bound(0.9), 1e-9, "down to an hour instead of two")
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
