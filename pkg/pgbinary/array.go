package pgbinary

import (
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgtype"
)

// ArrayHeader is how many bytes come before the elements of an array that has
// any: dimensions, whether there are NULLs, type, count, first index.
const ArrayHeader = 20

// PutArrayHeader writes the header of an array of n elements, at least one, of
// a type. The elements are values as the rest of this package appends them.
func PutArrayHeader(dst []byte, elem uint32, n int, nulls bool) {
	clear(dst[:ArrayHeader])
	if nulls {
		binary.BigEndian.PutUint32(dst[4:], 1)
	}
	binary.BigEndian.PutUint32(dst, 1)
	binary.BigEndian.PutUint32(dst[8:], elem)
	binary.BigEndian.PutUint32(dst[12:], uint32(n))
	binary.BigEndian.PutUint32(dst[16:], 1)
}

// AppendInt4s appends the bytes of an int[], without their length: see
// [AppendSized]. An empty one has no dimension.
func AppendInt4s(dst []byte, numbers []int32) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, ArrayHeader)...)
	PutArrayHeader(dst[at:], pgtype.Int4OID, len(numbers), false)
	if len(numbers) == 0 {
		const withoutDimension = 12
		binary.BigEndian.PutUint32(dst[at:], 0)
		return dst[:at+withoutDimension]
	}
	for _, n := range numbers {
		dst = binary.BigEndian.AppendUint32(appendLength(dst, 4), uint32(n))
	}
	return dst
}

// AppendInt4Array appends an int[] with its length.
func AppendInt4Array(dst []byte, numbers []int32) []byte {
	return AppendSized(dst, func(b []byte) []byte { return AppendInt4s(b, numbers) })
}

// AppendInt8Array appends a bigint[], NULL when all is 0 and it may be.
func AppendInt8Array(dst []byte, numbers []int64, orNull bool) []byte {
	if orNull && allZero(numbers) {
		return AppendNull(dst)
	}
	return appendArray(dst, pgtype.Int8OID, len(numbers), func(b []byte, i int) []byte { return AppendInt8(b, numbers[i]) })
}

// AppendFloat8Array appends a double precision[], NULL when all is 0.
func AppendFloat8Array(dst []byte, numbers []float64) []byte {
	if allZero(numbers) {
		return AppendNull(dst)
	}
	return appendArray(dst, pgtype.Float8OID, len(numbers), func(b []byte, i int) []byte { return AppendFloat8(b, numbers[i]) })
}

// AppendByteaArray appends a bytea[], NULL when all are empty.
func AppendByteaArray(dst []byte, values [][]byte) []byte {
	empty := true
	for _, v := range values {
		empty = empty && len(v) == 0
	}
	if empty {
		return AppendNull(dst)
	}
	return appendArray(dst, pgtype.ByteaOID, len(values), func(b []byte, i int) []byte {
		return append(appendLength(b, len(values[i])), values[i]...)
	})
}

func appendArray(dst []byte, elem uint32, n int, each func(dst []byte, i int) []byte) []byte {
	return AppendSized(dst, func(b []byte) []byte {
		at := len(b)
		b = append(b, make([]byte, ArrayHeader)...)
		PutArrayHeader(b[at:], elem, n, false)
		for i := range n {
			b = each(b, i)
		}
		return b
	})
}

func allZero[N int64 | float64](numbers []N) bool {
	for _, n := range numbers {
		if n != 0 {
			return false
		}
	}
	return true
}
