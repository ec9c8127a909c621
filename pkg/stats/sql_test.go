package stats_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/stats"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func connect(t *testing.T) *pgx.Conn {
	t.Helper()
	cfg, err := pgx.ParseConfig(testkit.Database(t))
	require.NoError(t, err)
	cfg.RuntimeParams["search_path"] = postgres.Schema
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	return conn
}

func TestSQL(t *testing.T) {
	t.Parallel()

	t.Run("a value has the same bucket in Go and in Postgres", func(t *testing.T) {
		t.Parallel()
		conn := connect(t)
		r := rand.New(rand.NewPCG(1, 2))
		values := []float64{0, 1e-300, math.Inf(1), math.NaN(), math.MaxFloat64, 3.6e6}
		for b := 1; b < stats.Buckets; b++ {
			from, _ := stats.Bounds(b)
			values = append(values, from, math.Nextafter(from, 0), math.Nextafter(from, math.Inf(1)))
		}
		for range 20_000 {
			values = append(values, math.Exp(r.Float64()*25-5))
		}
		rows, err := conn.Query(t.Context(), `SELECT histogram_bucket(v) FROM unnest($1::float8[]) WITH ORDINALITY AS u(v, i) ORDER BY i`, values)
		require.NoError(t, err)
		got, err := pgx.CollectRows(rows, pgx.RowTo[int])
		require.NoError(t, err)
		require.Len(t, got, len(values))
		for i, v := range values {
			require.Equal(t, stats.Bucket(v), got[i], "%v", v)
		}
	})

	t.Run("a stored histogram is read and merged alike", func(t *testing.T) {
		t.Parallel()
		conn := connect(t)
		r := rand.New(rand.NewPCG(3, 4))
		one, two := histogramOf(sample(r, 3000, shapes["long tail"])), histogramOf(append(sample(r, 40, shapes["long tail"]), 0, 0, 1e-5, 9e7))
		var merged []byte
		var n uint64
		var p []float64
		both := histogramOf(nil)
		both.Merge(one)
		both.Merge(two)
		require.NoError(t, conn.QueryRow(t.Context(), `
			WITH m AS (SELECT histogram_of_all($1::bytea[]) AS h)
			SELECT h, (SELECT sum(n) FROM histogram_buckets_of(h)), ARRAY(SELECT histogram_percentile(h, q, $3, $4) FROM unnest($2::float8[]) AS q) FROM m`,
			[][]byte{one.Append(nil), two.Append(nil)}, []float64{0.001, 0.25, 0.5, 0.95, 0.99, 1}, both.Min(), both.Max()).Scan(&merged, &n, &p))
		require.Equal(t, both.Append(nil), merged)
		require.Equal(t, both.Count(), n)
		for i, q := range []float64{0.001, 0.25, 0.5, 0.95, 0.99, 1} {
			require.InEpsilon(t, both.Quantile(q)+1, p[i]+1, 1e-9, "%v", q)
		}
	})

	t.Run("sets of users and distributions are read alike", func(t *testing.T) {
		t.Parallel()
		conn := connect(t)
		var encoded []byte
		var numbers []int32
		var items, counts []int64
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT user_set('{300,1,70000,1}'), user_numbers_of($1),
			ARRAY(SELECT item FROM counts_of($2)), ARRAY(SELECT n FROM counts_of($2))`, stats.AppendUsers(nil, []int32{1, 300, 70000}),
			stats.AppendCounts(nil, []stats.Count{{Item: 200, N: 5}, {Item: 503, N: 1 << 40}})).Scan(&encoded, &numbers, &items, &counts))
		var u stats.Users
		require.NoError(t, u.AddEncoded(encoded))
		require.Equal(t, []int32{1, 300, 70000}, u.Numbers())
		require.Equal(t, []int32{1, 300, 70000}, numbers)
		require.Equal(t, []int64{200, 503}, items)
		require.Equal(t, []int64{5, 1 << 40}, counts)
	})
}
