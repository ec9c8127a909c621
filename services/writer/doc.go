// Package writer moves events from the log into the database.
//
//	log ──► reader ──► worker: collect ─► decode ─► store ─► ack
//	                              │          │        │
//	                              │          └────────┴─► dead letters (content)
//	                              └ whatever waits, up to a bound: no timer
//
// # Invariants
//
//   - A message is acknowledged after the transaction with all its events has
//     committed, or after what cannot be stored of it lies in the dead letters.
//     So a crash at any instruction only means that it is delivered again.
//   - An event is stored once: its key (timestamp, id) is unique and an insert
//     that meets it does nothing. Redelivery, replay and retry change nothing.
//   - A database that is away is waited for; nothing is dead-lettered for it.
//     Only an event's own content sends it to the dead letters, alone: its batch
//     is halved until the culprit stands by itself.
//   - Nothing is stored below the purge line. The transaction holds the purge
//     gate, so the line cannot move between the look and the commit.
//   - The hours that got new rows are marked by the transaction's last
//     statement: the mark is what the aggregator collides with, and the lock on
//     it is held for the commit alone.
//   - The position written to the database is the log's own: below it every
//     message is acknowledged.
package writer
