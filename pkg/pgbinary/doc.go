// Package pgbinary writes values in Postgres' binary format: what COPY streams,
// and arrays that are parameters. The driver's own encoding boxes every value,
// which costs more than the rest of storing it; this is for the few places
// through which every event or every aggregate goes.
//
// # Invariants
//
//   - A value is its length in bytes and then its bytes, big-endian; NULL is the
//     length -1. The same values, one after the other, are the rows of a COPY
//     and the elements of an array.
//   - Lengths and counts are below 2^31: a message of the log and a batch of
//     rows are far below it.
//
// The format is that of the PostgreSQL documentation, "COPY", "Binary Format",
// and of the send functions of its types.
package pgbinary
