// Package rawstore puts events into the raw tables. The writer and the replay
// tools share it, so that whatever stores an event keeps the same promises.
//
// # Invariants
//
//   - Put stores all of its rows or none: one transaction.
//   - An event is stored once: its key (timestamp, id) is unique. Rows are copied
//     in; a copy that meets a row that is there is undone as a whole, and the
//     rows are then inserted, where a row that meets its key does nothing.
//   - Nothing is stored below the purge line. The transaction holds the purge
//     gate, so the line cannot move between the look and the commit.
//   - The hours that got new rows are marked in the round trip that
//     commits: the mark is what the aggregator collides with, and the lock on it
//     is held for the commit alone.
package rawstore
