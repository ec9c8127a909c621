// Package migrations holds the SQL that makes and changes the database schema,
// in golang-migrate's file format, embedded into the binary.
//
// Invariants: a migration that was released is never edited; each has a down
// file that a test runs on data; and between two releases the schema suits the
// writers of both, because old and new run side by side during an upgrade.
package migrations

import "embed"

// Files are the migrations: NNNNNN_title.up.sql and NNNNNN_title.down.sql.
//
//go:embed *.sql
var Files embed.FS
