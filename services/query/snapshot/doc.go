// Package snapshot reads one moment of the database: a Store opens a read-only
// REPEATABLE READ transaction with a deadline, a Statement puts together the SQL
// that is run in it, narrowed to spans of time and to a Filter.
//
// # Invariants
//
//   - A read ends after the store's timeout on both sides of the wire: the
//     context ends, and Postgres has the same statement_timeout.
//   - A database that is away or too slow is a fault.Unavailable with Retry-After;
//     the cause is for the log alone.
//   - Values enter a Statement as parameters only. Its text is made of constants.
package snapshot
