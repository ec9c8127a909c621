// Package history reads merged history: it answers a range of time from raw rows,
// from aggregates, or from both, and each moment from exactly one of them.
//
//	View (view.go)             a range, opened in one snapshot
//	  │
//	coverage (coverage.go)     where the data is: purge line, receipts, marks
//	  │
//	Plan (coverage.go)         which spans raw rows answer, which hours, which days
//	  │
//	requests, events, users    read both parts of a plan and merge them
//	  ├─ raw rows              SQL in the same files
//	  └─ aggregates            SQL in aggregates.go and receipts.go, nowhere else
//
// # The seam to the storage of aggregates
//
// aggregates.go and receipts.go hold all SQL over the tables of aggregates and
// their receipts. Each function there states the shape of the rows it selects;
// the readers above append raw rows in the same shape and merge without knowing
// which is which. Whoever changes how aggregates are stored changes these two
// files and no other of this package.
//
// # Invariants
//
//   - No hour is counted twice and none is missed, whatever the aggregator and
//     the writers do meanwhile: the plan is made of facts read in the snapshot
//     that reads the data.
//   - Below the purge line only aggregates exist. The edges of a range move
//     outwards to the hour there, and Provenance says so.
//   - Percentiles of several hours come from merged histograms and users of
//     several hours from merged sets; never an average, never a sum.
//   - Where raw rows and aggregates disagree, raw rows are right (retryOnRaw).
package history
