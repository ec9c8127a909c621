// Package admin lets administrators record apps over HTTP: their API keys, service
// principals and readers. It also keeps the copy of them in the event log, from
// which ingest learns who may send.
//
// # Invariants
//
//   - Only administrators call it; nothing here is for readers.
//   - A change is answered after its commit. The copy in the log follows at once
//     where the log can be reached, and within [Config.MirrorEvery] of the log's
//     return where it cannot: the answer does not wait for it.
//   - The text of a key is in the answer that made it and nowhere else.
package admin
