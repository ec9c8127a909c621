// Package console holds what the tools write for people: progress, and text that is
// safe to print.
//
// Invariants:
//
//   - Text from events never reaches a terminal with control characters in it
//     (Printable): an event could otherwise move the cursor or fake a line.
//   - Progress is informative only. A closed output never ends the tool's work.
package console
