package query

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/stats"
)

// Exact percentiles without sorting the rows: the histogram of a set of rows
// says in which bucket the value of a rank lies, and a bucket holds about a
// hundredth of the values. Only those are read, and the rank is found among
// them. The result is percentile_cont's, to the bit.

// errUneven says that the rows are not those the histogram has counted. It
// cannot be while aggregates and raw rows agree.
var errUneven = errors.New("raw rows and their aggregates disagree")

// sharpener looks up the exact percentiles of sets of raw rows.
type sharpener struct {
	sets   []*requestTally
	wanted []*sought
	at     map[place]*sought
}

// place is a bucket of a set.
type place struct{ set, bucket int }

// sought is a place whose values are wanted.
type sought struct {
	place

	values []valueCount
}

// valueCount is a value and how often it is there: clocks are coarse, so many
// rows may share one.
type valueCount struct {
	ms float64
	n  int64
}

// newSharpener notes where the percentiles of each set lie, set by set.
func newSharpener(sets []*requestTally) *sharpener {
	s := &sharpener{sets: sets, at: map[place]*sought{}}
	for i, t := range sets {
		for _, q := range measured {
			low, high, _ := neighbours(q, t.histogram.Count())
			s.want(i, low)
			s.want(i, high)
		}
	}
	return s
}

// want notes the place of a rank. The first and the last value are known.
func (s *sharpener) want(set int, rank uint64) {
	h := &s.sets[set].histogram
	if rank <= 1 || rank >= h.Count() {
		return
	}
	bucket, _ := h.Rank(rank)
	p := place{set, bucket}
	if s.at[p] == nil {
		s.at[p] = &sought{place: p}
		s.wanted = append(s.wanted, s.at[p])
	}
}

// neighbours are the ranks, from 1, that percentile_cont interpolates between,
// and how far from the lower to the upper.
func neighbours(q float64, n uint64) (low, high uint64, part float64) {
	if n == 0 {
		return 0, 0, 0
	}
	row := q * float64(n-1)
	return uint64(math.Floor(row)) + 1, uint64(math.Ceil(row)) + 1, row - math.Floor(row)
}

// sharpen replaces the percentiles of sets, which have counted the raw rows of
// the spans, by exact ones. The first set is all rows; each of the others, which
// come with their keys, is the rows of its key.
func sharpen(ctx context.Context, tx pgx.Tx, spans []span, f filter, sets []*requestTally, keys ...endpointKey) error {
	s := newSharpener(sets)
	if len(s.wanted) == 0 {
		return s.settle()
	}
	var set int
	var v valueCount
	err := collect(ctx, tx, s.statement(spans, f, keys), "look up percentiles", func(rows pgx.Rows) error {
		if err := rows.Scan(&set, &v.ms, &v.n); err != nil {
			return err
		}
		if w := s.at[place{set, stats.Bucket(v.ms)}]; w != nil {
			w.values = append(w.values, v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.settle()
}

// statement selects the values that are wanted of each set, in one pass over the
// rows. A row is held against the values that any set wants before its texts are
// looked up among the keys: comparing them is what costs.
func (s *sharpener) statement(spans []span, f filter, keys []endpointKey) *statement {
	var st statement
	if len(keys) == 0 {
		st.add(`SELECT 0, response_time_ms, count(*) FROM performance_metrics WHERE `).within(spans).requestsOf(f)
		return st.add(` AND `+inEdges+` GROUP BY 2`, edges(s.wanted))
	}
	whole, _ := slices.BinarySearchFunc(s.wanted, 1, func(w *sought, set int) int { return cmp.Compare(w.set, set) })
	st.add(`WITH near AS MATERIALIZED (SELECT app, endpoint, method, response_time_ms FROM performance_metrics WHERE `).
		within(spans).requestsOf(f).add(` AND `+inEdges+`)
		SELECT 0, response_time_ms, count(*) FROM near WHERE `+inEdges+` GROUP BY 2 UNION ALL `, edges(s.wanted), edges(s.wanted[:whole]))
	return s.ofKeys(&st, s.wanted[whole:], keys)
}

// ofKeys selects the wanted values of the sets with keys from the rows that are near.
func (s *sharpener) ofKeys(st *statement, wanted []*sought, keys []endpointKey) *statement {
	n := len(wanted)
	sets, lower, upper := make([]int, n), make([]float64, n), make([]float64, n)
	apps, endpoints, methods := make([]string, n), make([]string, n), make([]string, n)
	for i, w := range wanted {
		k := keys[w.set-1]
		sets[i], apps[i], endpoints[i], methods[i] = w.set, k.app, k.endpoint, k.method
		lower[i], upper[i] = stats.Bounds(w.bucket)
	}
	return st.add(`SELECT w.set, response_time_ms, count(*) FROM near
		JOIN unnest(?::int[], ?::float8[], ?::float8[], ?::text[], ?::text[], ?::text[]) AS w(set, lower, upper, app, endpoint, method)
		USING (endpoint, method, app) WHERE response_time_ms >= w.lower AND response_time_ms < w.upper GROUP BY 1, 2`,
		sets, lower, upper, apps, endpoints, methods)
}

// inEdges is the condition that a value lies between the first and the second of
// some edges, the third and the fourth, and so on.
const inEdges = `width_bucket(response_time_ms, ?::float8[]) % 2 = 1`

// edges are where the values that are wanted begin and end, in order.
func edges(wanted []*sought) []float64 {
	buckets := make([]int, len(wanted))
	for i, w := range wanted {
		buckets[i] = w.bucket
	}
	slices.Sort(buckets)
	list := []float64{}
	last := -2
	for _, bucket := range slices.Compact(buckets) {
		from, below := stats.Bounds(bucket)
		if bucket == last+1 {
			list[len(list)-1] = below
		} else {
			list = append(list, from, below)
		}
		last = bucket
	}
	return list
}

// settle computes the percentiles from the values that were read.
func (s *sharpener) settle() error {
	for _, w := range s.wanted {
		var n int64
		for _, v := range w.values {
			n += v.n
		}
		if uint64(n) != s.sets[w.set].histogram.In(w.bucket) { // counts are positive
			return errUneven
		}
		slices.SortFunc(w.values, func(a, b valueCount) int { return cmp.Compare(a.ms, b.ms) })
	}
	for i, t := range s.sets {
		if t.n == 0 {
			continue
		}
		t.percentiles = make([]float64, len(measured))
		for j, q := range measured {
			low, high, part := neighbours(q, t.histogram.Count())
			from, to := s.value(i, low), s.value(i, high)
			t.percentiles[j] = from + part*(to-from)
		}
	}
	return nil
}

// value is the value at a rank of a set.
func (s *sharpener) value(set int, rank uint64) float64 {
	t := s.sets[set]
	switch {
	case rank <= 1:
		return t.min
	case rank >= t.histogram.Count():
		return t.max
	}
	bucket, below := t.histogram.Rank(rank)
	left := int64(rank - below) // a bucket's count
	for _, v := range s.at[place{set, bucket}].values {
		if left -= v.n; left <= 0 {
			return v.ms
		}
	}
	return t.max // never: the values are as many as the histogram says
}
