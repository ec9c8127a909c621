// Package verify compares the ids in the log with the ids in the raw tables, per
// hour, app and kind.
//
// Invariants:
//
//   - It is sound while writers and ingest work. Only messages at or below the
//     writers' position must be stored; later ones may be. A surplus row is reported
//     only if its message would have been in the log when the rows were read.
//   - Rows older than the log, events below the purge line and dead letters are
//     counted apart: they are no differences.
//   - Memory does not grow with the log: a large log is read in several passes, each
//     for a part of the ids.
package verify
