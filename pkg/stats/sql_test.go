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
		rows, err := conn.Query(t.Context(), `SELECT response_time_bucket(v) FROM unnest($1::float8[]) WITH ORDINALITY AS u(v, i) ORDER BY i`, values)
		require.NoError(t, err)
		got, err := pgx.CollectRows(rows, pgx.RowTo[int])
		require.NoError(t, err)
		require.Len(t, got, len(values))
		for i, v := range values {
			require.Equal(t, stats.Bucket(v), got[i], "%v", v)
		}
	})

	t.Run("a histogram built in SQL is the one built in Go", func(t *testing.T) {
		t.Parallel()
		conn := connect(t)
		values := sample(rand.New(rand.NewPCG(3, 4)), 5000, shapes["long tail"])
		want := histogramOf(values)
		var encoded []byte
		var n uint64
		require.NoError(t, conn.QueryRow(t.Context(), `
			WITH buckets AS (SELECT response_time_bucket(v) AS b, count(*) AS n FROM unnest($1::float8[]) AS u(v) GROUP BY 1),
			encoded AS (SELECT string_agg(histogram_word(b, n), '' ORDER BY b) AS h FROM buckets)
			SELECT h, (SELECT sum(n) FROM histogram_buckets(h)) FROM encoded`, values).Scan(&encoded, &n))
		require.Equal(t, want.Append(nil), encoded)
		require.Equal(t, want.Count(), n)
	})

	t.Run("a set of users comes as the database sends it", func(t *testing.T) {
		t.Parallel()
		conn := connect(t)
		rows, err := conn.Query(t.Context(), `SELECT '{3,1,70000}'::int[] UNION ALL SELECT '{}'`)
		require.NoError(t, err)
		defer rows.Close()
		var u stats.Users
		for rows.Next() {
			require.NoError(t, u.AddBinary(rows.RawValues()[0]))
		}
		require.NoError(t, rows.Err())
		require.Equal(t, []int32{1, 3, 70000}, u.Numbers())
	})
}
