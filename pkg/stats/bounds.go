package stats

import (
	"fmt"
	"math"
	"strconv"
)

const (
	// Gamma is the factor from one bucket's lower bound to the next one's.
	Gamma = 1.02
	// Least is the smallest response time, in milliseconds, with a bucket of its own scale.
	Least = 0.1
	// RelativeError bounds how far a quantile is from the value at its rank:
	// (γ-1)/(γ+1) with room for the rounding of the bounds.
	RelativeError = 0.01
	// Buckets is their number: one below Least, one from Most on, the scale between.
	Buckets = scaled + 2

	scaled = 879
)

// Most is the response time, in milliseconds, from which on all share the last
// bucket: a little more than an hour.
var Most = bounds[scaled]

// bounds[i] is the lower bound of bucket i+1. Six digits, so that the SQL
// function can show the same numbers and nothing depends on the last bit.
var bounds = makeBounds()

func makeBounds() (b [scaled + 1]float64) {
	v := Least
	for i := range b {
		rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 6, 64), 64)
		if err != nil {
			panic(fmt.Sprintf("stats: bound %d: %v", i, err)) // cannot be: it was just formatted
		}
		b[i] = rounded
		v *= Gamma
	}
	return b
}

var scale = 1 / math.Log(Gamma)

// Bucket returns the bucket of a response time in milliseconds. NaN, which no
// valid event has, goes with the largest, as in Postgres.
func Bucket(ms float64) int {
	switch {
	case ms < Least:
		return 0
	case !(ms < Most): // NaN as well
		return scaled + 1
	}
	// The logarithm is a guess that is off by one at most near a bound; the table decides.
	i := min(max(int(math.Log(ms/Least)*scale)+1, 1), scaled)
	for ms < bounds[i-1] {
		i--
	}
	for ms >= bounds[i] {
		i++
	}
	return i
}

// Bounds returns from where (inclusive) to where (exclusive) a bucket reaches,
// in milliseconds.
func Bounds(bucket int) (from, below float64) {
	switch {
	case bucket <= 0:
		return 0, Least
	case bucket > scaled:
		return Most, math.Inf(1)
	}
	return bounds[bucket-1], bounds[bucket]
}

// middle is the value whose relative distance to both bounds is the same and so
// the least possible: their harmonic mean.
func middle(bucket int) float64 {
	from, below := bounds[bucket-1], bounds[bucket]
	return 2 * from * below / (from + below)
}
