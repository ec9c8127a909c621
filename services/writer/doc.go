// Package writer moves events from the log into the database.
//
//	log ──► reader ──► worker: collect ─► decode ─► store ─► ack
//	                              │          │        │
//	                              │          └────────┴─► dead letters (content)
//	                              └ whatever waits, and what comes within the pace
//
// # Invariants
//
//   - A message is acknowledged after the transaction with all its events has
//     committed, or after what cannot be stored of it lies in the dead letters.
//     So a crash at any instruction only means that it is delivered again.
//   - An event is stored once: its key (timestamp, id) is unique, see
//     pkg/rawstore. Redelivery, replay and retry change nothing.
//   - A database that is away is waited for; nothing is dead-lettered for it.
//     Only an event's own content sends it to the dead letters, alone: its batch
//     is halved until the culprit stands by itself.
//   - Nothing is stored below the purge line. The transaction holds the purge
//     gate, so the line cannot move between the look and the commit.
//   - The hours that got new rows are marked in the round trip that
//     commits: the mark is what the aggregator collides with, and the lock on it
//     is held for the commit alone.
//   - An event waits for others at most the pace (25 ms), and only behind another
//     that came within it.
//   - The position written to the database is the log's own: below it every
//     message is acknowledged.
package writer
