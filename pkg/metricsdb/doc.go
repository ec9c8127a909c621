// Package metricsdb holds what several services know about the database: its
// tables, the protocols that keep them consistent, and the documents that one
// service writes and another reads. Each statement over these tables is written
// here once; a test refuses their names in the SQL of other packages.
//
//	writer ────► raw tables, hour_marks, stream_positions, event_ledger, pipeline_status
//	aggregate ─► aggregates, receipts, purge_line, aggregation_runs, pipeline_status
//	query ◄───── all of them, in one snapshot
//
// # Invariants
//
//   - A writer holds the purge gate in ROW SHARE mode from before it reads the
//     purge line until its commit; whoever moves the line holds it in EXCLUSIVE
//     mode from before its snapshot. So no row is stored below the line.
//   - A writer marks each hour that got new rows in the transaction of the rows.
//     The mark is updated when it exists: an aggregation that has not seen the
//     rows then fails to delete it.
//   - A status document is encoded and decoded by the same Go type. A member
//     that is renamed on one side does not compile.
//   - The bulk write of raw rows is in pkg/rawstore, which uses this package for
//     the gate, the line and the marks.
package metricsdb
