// Package stream is the event log: which streams and subjects there are, how a
// batch gets onto the log, how it is read, and where what cannot be stored goes.
//
// # Invariants
//
//   - Publish returns nil only after JetStream has acknowledged the message, and
//     JetStream acknowledges after fsync (sync_interval always) or after a
//     majority of three replicas has it.
//   - One message carries events of one app and one kind. Batches that arrive
//     while a publish of their subject is under way travel together in the next
//     message and share its fsync.
//   - Nothing is buffered while NATS is away: a publish fails at once, so that
//     ingest can say 503 instead of promising what it cannot keep.
//   - A full stream refuses new messages; it never drops stored ones early.
//   - Consuming is bounded in bytes. A message is acknowledged by whoever made
//     its events durable, after that.
//
// # Topology
//
//	METRICS       metrics.performance.<app>   batches of performance metrics
//	              metrics.usage.<app>         batches of usage events
//	              metrics.ledger.<source>     what became of events before the log
//	METRICS_DEAD  metrics_dead.<kind>.<app>   what could not be stored, and why
package stream
