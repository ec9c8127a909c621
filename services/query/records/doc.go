// Package records reads raw rows as they are: lists of requests, users and
// features, one user's own events, and pages of an export. It stands on package
// history, whose View says which rows exist.
//
// The columns of a row, the fields they are scanned into and the cells of a CSV
// line are generated from the table of fields (records.gen.go).
//
// # Invariants
//
//   - A column cannot be scanned into another field or exported under another's name.
//   - Every list has a bound, and so has the number of rows read to make it. An
//     answer that was made from fewer rows than its range has says since when.
//   - An export gives every row of its question once, in order of time and id, or
//     it fails: it never leaves out rows that were purged while it ran.
package records
