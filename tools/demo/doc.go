// Package demo fills an installation with a believable past: two apps with 40
// endpoints, 300 users and the rhythm of their days and weeks, releases of which
// one is slow, and an outage.
//
//	for each day:  sessions of users ─► clicks ─► the requests they cause ─► raw tables, marked
//	               then a retention run as of the end of that day
//
// # Invariants
//
//   - The past takes the way of real data: raw rows with marks, then the same
//     aggregator, whose clock is set to each day's end. Nothing writes aggregates
//     but the aggregator, so what is older than the raw window stands in
//     aggregates and nowhere else.
//   - The same seed, number of days, requests and end give the same rows, ids
//     included. Each day draws from a source of its own.
//   - Nothing real is touched: an installation with history, or with a demo in
//     it, is refused.
package demo
