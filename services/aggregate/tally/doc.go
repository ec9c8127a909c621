// Package tally adds up raw rows of one kind into what is stored of them: a sum
// per key and a sum per app, for each part of an hour and for each day.
//
//	rows ──► Parts.Read ──► Tally per part ──► Encode ──► pages of keys, totals
//	                          │
//	                          └─ AddAll ──► Tally of the day
//
// # Invariants
//
//   - Memory is bounded by the limits of Read; beyond them an hour is read in the
//     order of its keys, and Finished takes out those that are complete.
//   - Users and names get local numbers while rows are read. The numbers of the
//     database replace them in Encode, after Dictionary.Resolve.
//   - A sum that is made of sums equals the sum made of their rows, the last bits
//     of response_time_sum apart.
//
// Nothing here is safe for concurrent use.
package tally
