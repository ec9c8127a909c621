// Package replay is the tools that live off the log: replay, tail, rebuild,
// verify and the care of dead letters.
//
//	log ───┐                             ┌─► another log
//	       ├─► choose ─► shift, mask ─►──┼─► a database (pkg/rawstore)
//	file ──┘                             └─► a file, standard output
//
// # Invariants
//
//   - Reading the log never moves the writers' place in it.
//   - Running a tool again changes nothing: events keep their ids, and an event
//     whose time is shifted gets an id that follows from the old one and the
//     shift. An interrupted replay goes on where its last flush was.
//   - Nothing is left out in silence: what is too old, below the purge line,
//     refused or unreadable is counted and reported.
//   - A comparison of log and database on a live system tells what is under way
//     from what is missing: only messages at or below the writers' position must
//     be stored, and every row must come from a message that was there after the
//     rows were read.
//   - Memory does not grow with the log.
package replay
