// Package aggregate turns closed hours of raw rows into aggregates that merge,
// and removes raw rows that have outlived their time.
//
//	writer ── rows + mark ──► hour_marks ─┐
//	                                      ▼
//	plan ──► hours ─────────► day ──► purge ──► partitions, old aggregates
//	closed,   one transaction   sum of    oldest hour first,
//	marked    per kind and      its 24    behind the gate
//	or new    up to a day       hours
//
// # Invariants
//
//   - What an hour's rows in aggregated_* say, the receipt of the hour says too,
//     and both are replaced in one SERIALIZABLE transaction. It deletes the
//     hour's mark last: a row that was committed after the transaction's
//     snapshot has moved the mark, and then the transaction fails and runs
//     again; a row that is not yet committed will move the mark afterwards, and
//     the next run finds it. Isolation alone would not do: writers are READ
//     COMMITTED, and SERIALIZABLE protects only from other serializable work.
//   - The daily tier never disagrees with its hours: whoever replaces an hour
//     deletes its day in the same transaction. Whoever replaces all hours of a
//     day sums it up as well; else that is done in a transaction of its own, and
//     until then readers take the hours.
//   - Raw rows are deleted only by the transaction that has compared them, by
//     number and checksum, with the receipt of their hour, and that moves the
//     purge line past them. It holds the purge gate, so no writer is between
//     looking at the line and committing. Rows that turn up below the line are
//     counted nowhere, and therefore never deleted: they are reported.
//   - The line waits for the log: an hour goes only when everything that was
//     published while the hour was still accepted is stored.
//   - An hour that cannot be aggregated is reported and stops only the line. In
//     the transaction of its neighbours it fails them too, but then each is tried
//     alone.
//   - Lanes, which work on distant hours side by side, may clash on what Postgres
//     locks for SERIALIZABLE beyond the rows. That fails no hour: who has lost
//     once has the run to itself.
//   - A run that dies at any statement leaves nothing half done; the next one
//     does the rest. Two runs at once do the same work twice at worst: the
//     receipt's row puts them in order. The lease spares them that.
//   - The work is done inside Postgres; a run's memory does not grow with rows.
package aggregate
