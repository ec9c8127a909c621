package stats_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/stats"
)

func TestUsers(t *testing.T) {
	t.Parallel()

	t.Run("any split in any order is the whole", func(t *testing.T) {
		t.Parallel()
		r := rand.New(rand.NewPCG(1, 2))
		for range 50 {
			want := map[int32]bool{}
			var all stats.Users
			for range 1 + r.IntN(10) {
				numbers := make([]int32, r.IntN(400))
				for i := range numbers {
					numbers[i] = 1 + r.Int32N([]int32{50, 5000, 3_000_000}[r.IntN(3)])
					want[numbers[i]] = true
				}
				var part stats.Users
				part.Add(numbers...)
				if r.IntN(2) == 0 {
					all.Merge(&part)
				} else {
					require.NoError(t, all.AddEncoded(stats.AppendUsers(nil, part.Numbers())))
				}
			}
			require.Equal(t, len(want), all.Count())
			numbers := all.Numbers()
			require.True(t, slices.IsSorted(numbers))
			for _, x := range numbers {
				require.True(t, want[x] && all.Has(x))
			}
		}
	})

	t.Run("the greatest number has its place", func(t *testing.T) {
		t.Parallel()
		var u stats.Users
		u.Add(math.MaxInt32, 1)
		require.Equal(t, []int32{1, math.MaxInt32}, u.Numbers())
		require.False(t, u.Has(2))
	})

	t.Run("what is no user is not counted", func(t *testing.T) {
		t.Parallel()
		var u stats.Users
		u.Add(0, -3)
		require.Zero(t, u.Count())
		require.False(t, u.Has(-3))
	})

	t.Run("a reset set is as new", func(t *testing.T) {
		t.Parallel()
		var u stats.Users
		u.Add(1, 9000)
		u.Reset()
		require.Zero(t, u.Count())
		u.Add(9000)
		require.Equal(t, []int32{9000}, u.Numbers())
	})

	t.Run("what is no set is refused", func(t *testing.T) {
		t.Parallel()
		var u stats.Users
		require.NoError(t, u.AddEncoded(nil))
		require.Error(t, u.AddEncoded([]byte{0}), "the same number again")
		require.Error(t, u.AddEncoded([]byte{1, 0x80}), "cut short")
		require.Error(t, u.AddEncoded([]byte{0xff, 0xff, 0xff, 0xff, 0x7f}), "past the last number")
	})
}
