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

// Exact percentiles are found without sorting all rows. The histogram of a set of
// rows says in which bucket the value at a rank lies. Only the values of those
// buckets are read, about a hundredth of all, and the rank is looked up among
// them. The result equals percentile_disc.

// errCountsDiffer is returned where raw rows and the aggregate of the same hours
// have different counts in a bucket. It does not happen while they agree.
var errCountsDiffer = errors.New("raw rows and their aggregates disagree")

// percentileSearch finds the exact percentiles of several sets of raw rows in one statement.
type percentileSearch struct {
	sets   []*RequestTally
	wanted []*wantedBucket
	at     map[bucketOfSet]*wantedBucket
}

// bucketOfSet names a histogram bucket of a set.
type bucketOfSet struct{ set, bucket int }

// wantedBucket is a bucket whose values are read.
type wantedBucket struct {
	bucketOfSet

	values []valueCount
}

// valueCount is a value and its number of rows: clocks are coarse, so many rows
// may have the same value.
type valueCount struct {
	ms float64
	n  int64
}

// newPercentileSearch lists the buckets in which the percentiles of each set lie, set by set.
func newPercentileSearch(sets []*RequestTally) *percentileSearch {
	s := &percentileSearch{sets: sets, at: map[bucketOfSet]*wantedBucket{}}
	for i, t := range sets {
		for _, q := range quantiles {
			s.want(i, nearestRank(q, t.histogram.Count()))
		}
	}
	return s
}

// want adds the bucket of a rank. The first and the last value need none: they are min and max.
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

// nearestRank is the rank of a percentile among n values, from 1: that of
// percentile_disc, and of stats.Histogram.
func nearestRank(q float64, n uint64) uint64 {
	return max(1, uint64(math.Ceil(q*float64(n))))
}

// findExactPercentiles replaces the percentiles of sets of raw rows, which come from
// histograms, by exact ones. The first set is all rows of the spans; each further
// set is the rows of the key at its place.
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

// statement selects the values of the wanted buckets of each set, in one pass over
// the rows. A row is first compared with the buckets of all sets, because comparing
// its texts with the keys is expensive.
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

// ofKeys selects the values of the sets with keys from the rows in any wanted bucket.
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

// inEdges is the condition that a value lies between the first and the second
// edge, the third and the fourth, and so on.
const inEdges = `width_bucket(response_time_ms, ?::float8[]) % 2 = 1`

// edges returns the lower and upper bounds of the wanted buckets, in order; bounds that touch are joined.
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

// compute sets the percentiles of each set from the values that were read.
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
			t.percentiles[j] = s.value(i, nearestRank(q, t.histogram.Count()))
		}
	}
	return nil
}

// value returns the value at a rank of a set.
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
	return t.Max // not reached: compute has checked that the values are as many as the histogram counts
}
