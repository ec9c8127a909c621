// Package ingest takes events in: it reads batches over HTTP, says for each
// event whether it is kept or why not, and answers 202 once the log has the
// kept ones. It knows NATS and no database.
//
// # Invariants
//
//   - 202 means durable: every event counted in events_received is in the log,
//     and the log has synced it to disk.
//   - One bad event never stops the rest: it is refused with its index, its
//     field and the rule it broke.
//   - An event of an app instance belongs to the app of its key; a usage event
//     of a person belongs to that person, whatever its body says.
//   - An event's id and timestamp are the sender's; received_at is ours.
//   - Bodies are bounded before and after decompression, and so is the number
//     of them that are held at once.
package ingest
