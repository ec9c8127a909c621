package pgbinary_test

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/pgbinary"
)

// scan has the driver read what was written: it knows the format from elsewhere.
func scan[V any](t *testing.T, oid uint32, data []byte) (v V) {
	t.Helper()
	require.NoError(t, pgtype.NewMap().Scan(oid, pgtype.BinaryFormatCode, data, &v))
	return v
}

// bare takes a value out of its length.
func bare(t *testing.T, data []byte) []byte {
	t.Helper()
	require.EqualValues(t, len(data)-4, binary.BigEndian.Uint32(data))
	return data[4:]
}

func TestTheDriverReadsWhatIsWritten(t *testing.T) {
	at := time.Date(1999, 12, 31, 23, 59, 59, 123456000, time.UTC)
	id := [16]byte{1, 2, 15: 9}
	require.Equal(t, "é", scan[string](t, pgtype.TextOID, bare(t, pgbinary.AppendText(nil, "é"))))
	require.Equal(t, "", scan[string](t, pgtype.TextOID, bare(t, pgbinary.AppendText(nil, ""))))
	require.Equal(t, id, scan[[16]byte](t, pgtype.UUIDOID, bare(t, pgbinary.AppendUUID(nil, id))))
	require.Equal(t, int16(-7), scan[int16](t, pgtype.Int2OID, bare(t, pgbinary.AppendInt2(nil, -7))))
	require.Equal(t, int64(math.MinInt64), scan[int64](t, pgtype.Int8OID, bare(t, pgbinary.AppendInt8(nil, math.MinInt64))))
	require.Equal(t, 1.5e-300, scan[float64](t, pgtype.Float8OID, bare(t, pgbinary.AppendFloat8(nil, 1.5e-300))))
	require.True(t, scan[bool](t, pgtype.BoolOID, bare(t, pgbinary.AppendBool(nil, true))))
	require.False(t, scan[bool](t, pgtype.BoolOID, bare(t, pgbinary.AppendBool(nil, false))))
	require.Equal(t, map[string]int{"a": 1}, scan[map[string]int](t, pgtype.JSONBOID, bare(t, pgbinary.AppendJSONB(nil, []byte(`{"a":1}`)))))
	require.True(t, at.Equal(scan[time.Time](t, pgtype.TimestamptzOID, bare(t, pgbinary.AppendTime(nil, at)))))
	require.Equal(t, at, pgbinary.Time(pgbinary.Micros(at)))
}

func TestArrays(t *testing.T) {
	t.Run("of numbers, empty ones too", func(t *testing.T) {
		for _, numbers := range [][]int32{{}, {5}, {1, -2, math.MaxInt32}} {
			data := pgbinary.AppendSized([]byte("before"), func(dst []byte) []byte { return pgbinary.AppendInt4s(dst, numbers) })
			require.Equal(t, numbers, scan[[]int32](t, pgtype.Int4ArrayOID, bare(t, data[len("before"):])))
		}
	})
	t.Run("of values, with nulls among them", func(t *testing.T) {
		data := make([]byte, pgbinary.ArrayHeader)
		data = pgbinary.AppendNull(pgbinary.AppendText(data, "a"))
		pgbinary.PutArrayHeader(data, pgtype.TextOID, 2, true)
		a := "a"
		require.Equal(t, []*string{&a, nil}, scan[[]*string](t, pgtype.TextArrayOID, data))
	})
}
