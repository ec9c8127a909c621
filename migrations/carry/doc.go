// Package carry moves the aggregates of schema 4 into the tables of schema 5, while
// writers, queries and aggregation runs go on with the older ones.
//
// # Invariants
//
//   - Hours and days are copied one by one, each in a transaction of its own, with
//     the receipt it had: one that is aggregated again meanwhile is copied again.
//   - The next migration refuses to drop the older tables while an hour is not
//     copied as its receipt now says.
//   - Nothing is made up. A histogram bucket of schema 4 is one of schema 5; what it
//     had below 0.1 ms or from an hour on goes to the end buckets, of which
//     stats.Histogram.Bound says what they are worth. An hour that is now kept in
//     parts stays whole.
package carry
