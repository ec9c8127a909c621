package stats

// Rank returns the bucket of the value at a rank, counted from 1, and how many
// values lie in the buckets below it. With these the exact value can be looked
// up: it is one of the bucket's few. The rank must be from 1 to Count.
func (h *Histogram) Rank(rank uint64) (bucket int, below uint64) {
	for b := h.low; b < h.top; b++ {
		if below+h.counts[b] >= rank {
			return b, below
		}
		below += h.counts[b]
	}
	return h.top, below
}

// In returns how many values lie in a bucket.
func (h *Histogram) In(bucket int) uint64 {
	if h.n == 0 {
		return 0
	}
	return h.counts[bucket]
}
