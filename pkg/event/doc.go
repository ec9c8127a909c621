// Package event holds the events themselves: what a performance metric and a
// usage event are, which of them are valid, and how a batch of them travels
// through the log. Ingest, the writer and every tool share it. What lists the
// fields of an event is generated from the table in pkg/event/fields; rules of
// a single field stand here, in validate.go.
//
// # Invariants
//
//   - An event has its id from where it was made, and its timestamp never
//     changes once it has the id: (timestamp, id) is the key under which it is
//     stored once. Timestamps have microseconds, as Postgres has; Normalize
//     cuts what is finer, the same way every time.
//   - An event that Validate accepts can be stored: whatever Postgres would
//     refuse for its content (NUL bytes, broken UTF-8, numbers without end) is
//     refused here, by field and with the rule it broke.
//   - A batch on the log names the version of its schema. What an older version
//     wrote is read for ever; a newer version than this code knows is refused
//     (ErrNewerSchema), never guessed.
package event

//go:generate go run ./generate -root ../..
