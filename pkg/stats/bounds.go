package stats

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

const (
	// Gamma is the factor from one bucket's lower bound to the next one's.
	Gamma = 1.02
	// RelativeError bounds how far a quantile is from the value at its rank:
	// (γ-1)/(γ+1) with room for the rounding of the bounds.
	RelativeError = 0.01

	// Zero is the bucket of the value 0, Low that of values below [Least] and High
	// that of values from [Most] on. Between Low and High is the scale.
	Zero = 0
	Low  = 1
	High = scaled + 2
	// Buckets is their number.
	Buckets = scaled + 3

	// The scale is laid around 0.1 ms: so many buckets below it, and so many above.
	// Histograms of schema 2 began there, and each of their buckets is one of these.
	scaleOrigin = 0.1
	belowOrigin = 233
	aboveOrigin = 1040
	scaled      = belowOrigin + aboveOrigin
)

// Least and Most are the response times, in milliseconds, between which a quantile
// is within [RelativeError]: a little less than a microsecond, a little more than a day.
var Least, Most = bounds[0], bounds[scaled]

// bounds[i] is the lower bound of bucket i+2. Six digits, so that the SQL
// function can show the same numbers and nothing depends on the last bit.
var bounds = makeBounds()

func makeBounds() []float64 {
	below, above := make([]float64, 0, belowOrigin), make([]float64, 0, aboveOrigin+1)
	for v := scaleOrigin / Gamma; len(below) < belowOrigin; v /= Gamma {
		below = append(below, sixDigits(v))
	}
	for v := scaleOrigin; len(above) <= aboveOrigin; v *= Gamma {
		above = append(above, sixDigits(v))
	}
	slices.Reverse(below)
	return append(below, above...)
}

func sixDigits(v float64) float64 {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 6, 64), 64)
	if err != nil {
		panic(fmt.Sprintf("stats: bound %g: %v", v, err)) // cannot be: it was just formatted
	}
	return rounded
}

var scale = 1 / math.Log(Gamma)

// Bucket returns the bucket of a response time in milliseconds. NaN, which no
// valid event has, goes with the largest, as in Postgres.
func Bucket(ms float64) int {
	switch {
	case ms <= 0:
		return Zero
	case ms < Least:
		return Low
	case !(ms < Most): // NaN as well
		return High
	}
	// The logarithm is a guess that is off by one at most near a bound; the table decides.
	i := min(max(int(math.Log(ms/Least)*scale)+1, 1), scaled)
	for ms < bounds[i-1] {
		i--
	}
	for ms >= bounds[i] {
		i++
	}
	return i + 1
}

// Bounds returns from where (inclusive) to where (exclusive) a bucket reaches,
// in milliseconds.
func Bounds(bucket int) (from, below float64) {
	switch {
	case bucket <= Zero:
		return 0, math.SmallestNonzeroFloat64
	case bucket == Low:
		return math.SmallestNonzeroFloat64, Least
	case bucket >= High:
		return Most, math.Inf(1)
	}
	return bounds[bucket-2], bounds[bucket-1]
}

// middle is the value whose relative distance to both bounds is the same and so
// the least possible: their harmonic mean.
func middle(bucket int) float64 {
	from, below := bounds[bucket-2], bounds[bucket-1]
	return 2 * from * below / (from + below)
}
