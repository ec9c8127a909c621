// Package stats holds the two statistics that survive being merged: a log-scale
// histogram of response times and a set of users. Aggregates store both; every
// number over more than one hour is made by uniting them.
//
// # Invariants
//
//   - Merging loses nothing: however the data is split into parts and in
//     whatever order those are merged, the result is the same. Percentiles are
//     never averaged and distinct users never added.
//   - A quantile is off by at most [RelativeError] of the value that stands at
//     its rank (Postgres' percentile_disc) as long as that value is 0 or lies between
//     [Least] and [Most], a microsecond and a day. Outside, values share one bucket at
//     either end, are still counted, and [Histogram.Bound] says what the quantile is
//     worth. Ranks 1 and n are exact everywhere.
//   - A value has the same bucket here and in the SQL function
//     histogram_bucket: both look it up in the same table of bounds,
//     because logarithms differ in the last bit between platforms.
//   - User sets are exact.
//
// Nothing here is safe for concurrent use.
package stats
