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

var errEncoding = errors.New("stats: not a histogram")

// Add counts one value, in milliseconds.
func (h *Histogram) Add(ms float64) {
	h.bounds(ms, ms)
	h.count(Bucket(ms), 1)
}

// AddEncoded merges a stored histogram: the column's bytes and the least and
// the greatest value of the same row. After an error h is to be thrown away.
func (h *Histogram) AddEncoded(data []byte, least, greatest float64) error {
	if len(data) == 0 {
		return nil
	}
	h.bounds(least, greatest)
	return EachBucket(data, h.count)
}

// AddCount counts n values of a bucket that lie between least and greatest.
func (h *Histogram) AddCount(bucket int, n uint64, least, greatest float64) {
	if n == 0 {
		return
	}
	h.bounds(least, greatest)
	h.count(bucket, n)
}

// EachBucket calls each for every bucket of a stored histogram, in order.
func EachBucket(data []byte, each func(bucket int, n uint64)) error {
	bucket := 0
	for first := true; len(data) > 0; first = false {
		word, size := binary.Uvarint(data)
		if size <= 0 {
			return fmt.Errorf("%w: cut short", errEncoding)
		}
		data = data[size:]
		step := word >> 1
		if step >= Buckets || step == 0 && !first {
			return fmt.Errorf("%w: a step of %d buckets", errEncoding, step)
		}
		if bucket += int(step); bucket >= Buckets { // both are below Buckets
			return fmt.Errorf("%w: bucket %d", errEncoding, bucket)
		}
		n := uint64(1)
		if word&1 != 0 {
			if n, size = binary.Uvarint(data); size <= 0 || n < 2 {
				return fmt.Errorf("%w: count of bucket %d", errEncoding, bucket)
			}
			data = data[size:]
		}
		each(bucket, n)
	}
	return nil
}

// appendBucket appends a bucket to an encoding whose last bucket is last, 0
// before the first: the step from it, twice, plus one when a count follows. Most
// buckets of a quiet endpoint hold one value and take one byte.
func appendBucket(dst []byte, last, bucket int, n uint64) []byte {
	step := uint64(bucket-last) << 1
	if n == 1 {
		return binary.AppendUvarint(dst, step)
	}
	return binary.AppendUvarint(binary.AppendUvarint(dst, step|1), n)
}

// AppendBuckets appends the encoding of values given by their buckets, sorted.
func AppendBuckets(dst []byte, sorted []uint16) []byte {
	last := 0
	for i := 0; i < len(sorted); {
		end := i + 1
		for end < len(sorted) && sorted[end] == sorted[i] {
			end++
		}
		dst = appendBucket(dst, last, int(sorted[i]), uint64(end-i))
		last, i = int(sorted[i]), end
	}
	return dst
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
// varint with its distance from the one before and, unless it is 1, its count.
func (h *Histogram) Append(dst []byte) []byte {
	if h.n == 0 {
		return dst
	}
	last := 0
	for b := h.low; b <= h.top; b++ {
		if h.counts[b] > 0 {
			dst = appendBucket(dst, last, b, h.counts[b])
			last = b
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
// within RelativeError, or within what [Histogram.Bound] says; q is from 0 to 1.
// It is 0 when nothing was counted.
func (h *Histogram) Quantile(q float64) float64 {
	if h.n == 0 {
		return 0
	}
	rank := h.rank(q)
	switch {
	case rank == 1:
		return h.min
	case rank >= h.n:
		return h.max
	}
	switch b, _ := h.Rank(rank); b {
	case Zero:
		return 0
	case Low:
		return h.min
	case High:
		return h.max
	default:
		return min(max(middle(b), h.min), h.max)
	}
}

// Bound returns how far the quantile may be from the value at its rank, relative
// to that value. It is more than [RelativeError] where the value lies outside of
// the scale: below a microsecond, from a day on, or in a histogram of schema 2,
// below 0.1 ms or from an hour on.
func (h *Histogram) Bound(q float64) float64 {
	const (
		lowBelow = scaleOrigin // what a histogram of schema 2 has in Low is below it
		highFrom = 3_600_000.  // and in High at least that
	)
	if h.n == 0 {
		return RelativeError
	}
	rank := h.rank(q)
	if rank == 1 || rank >= h.n {
		return RelativeError
	}
	b, _ := h.Rank(rank)
	from, _ := Bounds(b)
	switch {
	case b == High:
		return max(h.max/max(h.min, highFrom)-1, RelativeError)
	case h.counts[Low] == 0 || b == Zero || from >= lowBelow:
		return RelativeError
	}
	// Some of the values below 0.1 ms have no bucket of their own.
	return max(lowBelow/max(h.min, math.SmallestNonzeroFloat64)-1, RelativeError)
}

func (h *Histogram) rank(q float64) uint64 {
	return uint64(max(math.Ceil(q*float64(h.n)), 1))
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
