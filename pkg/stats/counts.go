package stats

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Count is how often an item came. Items are numbers: a status code, or the
// number of a name.
type Count struct {
	Item uint32
	N    uint64
}

var errCounts = errors.New("stats: not a distribution")

// AppendCounts appends the encoding of a distribution: item and count of each as
// varints.
func AppendCounts(dst []byte, counts []Count) []byte {
	for _, c := range counts {
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(c.Item)), c.N)
	}
	return dst
}

// EachCount calls each for every item of a stored distribution.
func EachCount(data []byte, each func(item uint32, n uint64)) error {
	for len(data) > 0 {
		item, size := binary.Uvarint(data)
		if size <= 0 || item>>32 != 0 {
			return fmt.Errorf("%w: an item", errCounts)
		}
		data = data[size:]
		n, size := binary.Uvarint(data)
		if size <= 0 {
			return fmt.Errorf("%w: the count of item %d", errCounts, item)
		}
		data = data[size:]
		each(uint32(item), n) // below 2^32
	}
	return nil
}
