// Package lakepulse is Lakepulse's Go SDK: it records what an app serves and what
// people do in it, and sends that to ingest in the background.
//
//	lp, err := lakepulse.New(lakepulse.FromEnv())
//	...
//	defer lp.Close(ctx)
//	http.ListenAndServe(addr, lp.Middleware(mux))
//
// The way of a record:
//
//	request ─► Middleware ─► ring (bounded) ─► lane (one goroutine) ─► Sink ─► ingest or JetStream
//	Track   ─────────────►   full: dropped      ids, names, batches,    HTTP by default
//	                         and counted        retries, accounts
//
// # Invariants
//
//   - The app never suffers from us. On the request's path there are two clock
//     reads, one allocation and one push into a ring that never blocks: no id is
//     made, nothing is encoded, nothing is locked. A collector that is slow,
//     broken or absent costs the same and holds the same memory: the ring and one
//     batch per lane. A panic of a callback costs one record, not the request.
//   - One record per request, exactly, whatever happens in the handler: it panics,
//     hijacks, streams, never writes, runs too long.
//   - A record gets its id and its timestamp together, in the lane, and keeps both
//     through every retry: they are the key under which it is stored once.
//   - Every loss is counted: records made = accepted + rejected + dropped +
//     buffered (see [Stats]), and what was dropped is told to ingest with the next
//     batch. seq, counted per instance, has a gap where records were lost.
//   - The wrapped ResponseWriter has the optional interfaces of the one it wraps,
//     those and no others, and unwraps to it.
//   - Keys and tokens are never logged and never part of an error.
//
// A nil *Client, and one that is off (Config.Disabled, or neither URL nor Sink),
// is valid: Middleware then returns the handler it was given.
package lakepulse
