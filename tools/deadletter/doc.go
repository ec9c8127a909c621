// Package deadletter lists, shows, requeues and drops the messages that the writer
// could not decode or store (stream METRICS_DEAD).
//
// Invariants:
//
//   - Requeueing twice changes nothing: the events keep their ids, and the database
//     keeps the first of each id.
//   - A run over all letters handles the letters that existed when it started, so a
//     letter that fails again does not keep it busy forever.
//   - Memory does not grow with the number of letters.
package deadletter
