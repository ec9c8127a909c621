// Package rebuild fills the raw tables from the log, as far back as the log reaches
// (stream retention: the raw window plus a day).
//
// Invariants:
//
//   - It stores only what is missing: the key (timestamp, id) keeps existing rows.
//   - Nothing is stored below the purge line, because those events are in aggregates
//     already.
//   - Truncate, the only step that deletes, is separate from Run. ReadPlan counts the
//     rows that it would delete for good.
package rebuild
