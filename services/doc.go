// Package services puts Lakepulse together. Read services.go first: its one map
// says which modules each target is made of.
//
// A service is a folder here with a doc.go (what it promises), a config.go, a
// module.go (its fx wiring) and its code; its SQL is in its store files. A new
// feature that takes events in goes to ingest, one that answers questions to
// query, one that changes what is kept to writer or aggregate. Services do not
// import each other: they meet in messages on subjects (pkg/stream) and in rows
// of tables (migrations).
package services
