// Package replay sends events of a log or a file again: to another log, into a
// database, or into a file. Tail shows events as they are published.
//
//	log ───┐                                           ┌─► another log
//	       ├─► select ─► shift time, pseudonymise ─►───┼─► a database (pkg/rawstore)
//	file ──┘                                           └─► a file, standard output
//
// Invariants:
//
//   - Reading the log never moves the writers' position in it.
//   - Running a replay twice changes nothing: events keep their ids. An event whose
//     time is shifted gets an id derived from the old id and the shift. An interrupted
//     replay continues after its last flush.
//   - Every event left out is counted and reported: too old, below the purge line,
//     refused by the database, or unreadable.
//   - Memory does not grow with the log.
package replay
