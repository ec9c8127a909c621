// Package load makes events and sends them over HTTP, as cheaply as it can: the
// sender shares the machine with what it measures.
//
// # Invariants
//
//   - Every event has an id of its own and the time at which it is sent. Both are
//     written into a prepared request; nothing is encoded while measuring.
//   - In an open loop a request's latency counts from when it was due, so that a
//     stalled server is not spared the requests it kept from being sent.
//   - An answer other than 2xx ends the run with an error: nothing is measured
//     that was not taken.
package load
