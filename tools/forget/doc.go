// Package forget erases one user: from the event log, the dead letters, the raw
// rows and the aggregates.
//
// # Invariants
//
//   - Counts stay what they were. The user's events keep their ids and times and
//     belong to a made-up name from then on, the same everywhere, so that totals
//     and numbers of users still add up. What else could say who it was (session,
//     interaction, metadata) goes.
//   - The log comes first. Were the database first, a writer could store the name
//     again from a message that waits. A rewritten message is published before
//     the old one is erased; its events have their ids, so nothing is stored twice.
//   - It can be run again, and after a crash half-way it must be: what is done is
//     not found any more.
package forget
