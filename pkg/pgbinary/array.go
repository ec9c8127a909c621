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
