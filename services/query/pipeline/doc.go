// Package pipeline reads the state of the pipeline: what writers and aggregator
// last reported of themselves, positions, ledger, runs and dead letters.
//
// # Invariants
//
//   - Ages of reports are measured by the database's clock, which stamped them.
//   - Parts are written by other processes, older or newer than this one: what
//     is not understood of a part is left out and never fails the whole.
package pipeline
