package stats

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Histogram counts response times by bucket. The zero value is empty and ready.
type Histogram struct {
	counts   []uint64 // nil until the first value; then one per bucket
	n        uint64
	min, max float64
	low, top int // buckets outside low..top are empty: a scan skips them
}

const (
	wordSize   = 8
	countBits  = 48
	countLimit = 1<<countBits - 1
)

var errEncoding = errors.New("stats: not a histogram")

// Add counts one value, in milliseconds.
func (h *Histogram) Add(ms float64) {
	h.bounds(ms, ms)
	h.count(Bucket(ms), 1)
}

// AddEncoded merges a stored histogram: the column's bytes and the least and
// the greatest value of the same row. After an error h is to be thrown away.
func (h *Histogram) AddEncoded(data []byte, least, greatest float64) error {
	if len(data)%wordSize != 0 {
		return fmt.Errorf("%w: %d bytes", errEncoding, len(data))
	}
	if len(data) == 0 {
		return nil
	}
	h.bounds(least, greatest)
	for ; len(data) > 0; data = data[wordSize:] {
		word := binary.BigEndian.Uint64(data)
		bucket := int(word >> countBits) // 16 bits
		if bucket >= Buckets {
			return fmt.Errorf("%w: bucket %d", errEncoding, bucket)
		}
		h.count(bucket, word&countLimit)
	}
	return nil
}

// Merge adds what o has counted.
func (h *Histogram) Merge(o *Histogram) {
	if o.n == 0 {
		return
	}
	h.bounds(o.min, o.max)
	for b := o.low; b <= o.top; b++ {
		if o.counts[b] > 0 {
			h.count(b, o.counts[b])
		}
	}
}

// Append appends the encoding: for each bucket that is not empty, in order, a
// big-endian word with the bucket in its upper 16 bits and the count below.
func (h *Histogram) Append(dst []byte) []byte {
	if h.n == 0 {
		return dst
	}
	for b := h.low; b <= h.top; b++ {
		if h.counts[b] > 0 {
			dst = binary.BigEndian.AppendUint64(dst, uint64(b)<<countBits|h.counts[b]&countLimit) // b < Buckets
		}
	}
	return dst
}

// Reset empties h and keeps its memory.
func (h *Histogram) Reset() {
	if h.n > 0 {
		clear(h.counts[h.low : h.top+1])
	}
	*h = Histogram{counts: h.counts}
}

// Count returns how many values were counted.
func (h *Histogram) Count() uint64 { return h.n }

// Min returns the least value, exactly; 0 when there is none.
func (h *Histogram) Min() float64 { return h.min }

// Max returns the greatest value, exactly; 0 when there is none.
func (h *Histogram) Max() float64 { return h.max }

// Quantile returns the value at rank ⌈q·n⌉, as Postgres' percentile_disc does,
// within RelativeError; q is from 0 to 1. It is 0 when nothing was counted.
func (h *Histogram) Quantile(q float64) float64 {
	if h.n == 0 {
		return 0
	}
	rank := uint64(max(math.Ceil(q*float64(h.n)), 1))
	switch {
	case rank == 1:
		return h.min
	case rank >= h.n:
		return h.max
	}
	var seen uint64
	b := h.low
	for ; b < h.top; b++ {
		if seen += h.counts[b]; seen >= rank {
			break
		}
	}
	switch b {
	case 0:
		return h.min
	case scaled + 1:
		return h.max
	}
	return min(max(middle(b), h.min), h.max)
}

// bounds takes in a part's extremes; call it before count.
func (h *Histogram) bounds(least, greatest float64) {
	if h.n == 0 {
		h.min, h.max = least, greatest
		return
	}
	h.min, h.max = min(h.min, least), max(h.max, greatest)
}

func (h *Histogram) count(bucket int, n uint64) {
	if h.counts == nil {
		h.counts = make([]uint64, Buckets)
	}
	if h.n == 0 {
		h.low, h.top = bucket, bucket
	}
	h.low, h.top = min(h.low, bucket), max(h.top, bucket)
	h.counts[bucket] += n
	h.n += n
}
