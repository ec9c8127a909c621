package history

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/stats"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// Exact percentiles without sorting the rows: the histogram of a set of rows
// says in which bucket the value of a rank lies, and a bucket holds about a
// hundredth of the values. Only those are read, and the rank is found among
// them. The result is percentile_cont's, to the bit.

// errCountsDiffer says that the rows are not those the histogram has counted. It
// cannot be while aggregates and raw rows agree.
var errCountsDiffer = errors.New("raw rows and their aggregates disagree")

// percentileSearch looks up the exact percentiles of sets of raw rows.
type percentileSearch struct {
	sets   []*RequestTally
	wanted []*wantedBucket
	at     map[bucketOfSet]*wantedBucket
}

// bucketOfSet is a bucket of a set.
type bucketOfSet struct{ set, bucket int }

// wantedBucket is a place whose values are wanted.
type wantedBucket struct {
	bucketOfSet

	values []valueCount
}

// valueCount is a value and how often it is there: clocks are coarse, so many
// rows may share one.
type valueCount struct {
	ms float64
	n  int64
}

// newPercentileSearch notes where the percentiles of each set lie, set by set.
func newPercentileSearch(sets []*RequestTally) *percentileSearch {
	s := &percentileSearch{sets: sets, at: map[bucketOfSet]*wantedBucket{}}
	for i, t := range sets {
		for _, q := range quantiles {
			low, high, _ := neighbours(q, t.histogram.Count())
			s.want(i, low)
			s.want(i, high)
		}
	}
	return s
}

// want notes the place of a rank. The first and the last value are known.
func (s *percentileSearch) want(set int, rank uint64) {
	h := &s.sets[set].histogram
	if rank <= 1 || rank >= h.Count() {
		return
	}
	bucket, _ := h.Rank(rank)
	p := bucketOfSet{set, bucket}
	if s.at[p] == nil {
		s.at[p] = &wantedBucket{bucketOfSet: p}
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

// findExactPercentiles replaces the percentiles of sets, which have counted the raw rows of
// the spans, by exact ones. The first set is all rows; each of the others, which
// come with their keys, is the rows of its key.
func findExactPercentiles(ctx context.Context, tx pgx.Tx, spans []snapshot.Span, f snapshot.Filter, sets []*RequestTally, keys ...EndpointKey) error {
	s := newPercentileSearch(sets)
	if len(s.wanted) == 0 {
		return s.compute()
	}
	var set int
	var v valueCount
	err := snapshot.Collect(ctx, tx, s.statement(spans, f, keys), "look up percentiles", func(rows pgx.Rows) error {
		if err := rows.Scan(&set, &v.ms, &v.n); err != nil {
			return err
		}
		if w := s.at[bucketOfSet{set, stats.Bucket(v.ms)}]; w != nil {
			w.values = append(w.values, v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.compute()
}

// statement selects the values that are wanted of each set, in one pass over the
// rows. A row is held against the values that any set wants before its texts are
// looked up among the keys: comparing them is what costs.
func (s *percentileSearch) statement(spans []snapshot.Span, f snapshot.Filter, keys []EndpointKey) *snapshot.Statement {
	var st snapshot.Statement
	if len(keys) == 0 {
		st.Add(`SELECT 0, response_time_ms, count(*) FROM performance_metrics WHERE `).Within(spans).MatchRequests(f)
		return st.Add(` AND `+inEdges+` GROUP BY 2`, edges(s.wanted))
	}
	whole, _ := slices.BinarySearchFunc(s.wanted, 1, func(w *wantedBucket, set int) int { return cmp.Compare(w.set, set) })
	st.Add(`WITH near AS MATERIALIZED (SELECT app, endpoint, method, response_time_ms FROM performance_metrics WHERE `).
		Within(spans).MatchRequests(f).Add(` AND `+inEdges+`)
		SELECT 0, response_time_ms, count(*) FROM near WHERE `+inEdges+` GROUP BY 2 UNION ALL `, edges(s.wanted), edges(s.wanted[:whole]))
	return s.ofKeys(&st, s.wanted[whole:], keys)
}

// ofKeys selects the wanted values of the sets with keys from the rows that are near.
func (s *percentileSearch) ofKeys(st *snapshot.Statement, wanted []*wantedBucket, keys []EndpointKey) *snapshot.Statement {
	n := len(wanted)
	sets, lower, upper := make([]int, n), make([]float64, n), make([]float64, n)
	apps, endpoints, methods := make([]string, n), make([]string, n), make([]string, n)
	for i, w := range wanted {
		k := keys[w.set-1]
		sets[i], apps[i], endpoints[i], methods[i] = w.set, k.App, k.Endpoint, k.Method
		lower[i], upper[i] = stats.Bounds(w.bucket)
	}
	return st.Add(`SELECT w.set, response_time_ms, count(*) FROM near
		JOIN unnest(?::int[], ?::float8[], ?::float8[], ?::text[], ?::text[], ?::text[]) AS w(set, lower, upper, app, endpoint, method)
		USING (endpoint, method, app) WHERE response_time_ms >= w.lower AND response_time_ms < w.upper GROUP BY 1, 2`,
		sets, lower, upper, apps, endpoints, methods)
}

// inEdges is the condition that a value lies between the first and the second of
// some edges, the third and the fourth, and so on.
const inEdges = `width_bucket(response_time_ms, ?::float8[]) % 2 = 1`

// edges are where the values that are wanted begin and end, in order.
func edges(wanted []*wantedBucket) []float64 {
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

// compute computes the percentiles from the values that were read.
func (s *percentileSearch) compute() error {
	for _, w := range s.wanted {
		var n int64
		for _, v := range w.values {
			n += v.n
		}
		if uint64(n) != s.sets[w.set].histogram.In(w.bucket) { // counts are positive
			return errCountsDiffer
		}
		slices.SortFunc(w.values, func(a, b valueCount) int { return cmp.Compare(a.ms, b.ms) })
	}
	for i, t := range s.sets {
		if t.N == 0 {
			continue
		}
		t.percentiles = make([]float64, len(quantiles))
		for j, q := range quantiles {
			low, high, part := neighbours(q, t.histogram.Count())
			from, to := s.value(i, low), s.value(i, high)
			t.percentiles[j] = from + part*(to-from)
		}
	}
	return nil
}

// value is the value at a rank of a set.
func (s *percentileSearch) value(set int, rank uint64) float64 {
	t := s.sets[set]
	switch {
	case rank <= 1:
		return t.Min
	case rank >= t.histogram.Count():
		return t.Max
	}
	bucket, below := t.histogram.Rank(rank)
	left := int64(rank - below) // a bucket's count
	for _, v := range s.at[bucketOfSet{set, bucket}].values {
		if left -= v.n; left <= 0 {
			return v.ms
		}
	}
	return t.Max // never: the values are as many as the histogram says
}
