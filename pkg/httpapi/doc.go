// Package httpapi turns endpoints, which are values, into an HTTP server.
//
// An [Endpoint] says its method, path and access, how its request is decoded
// and what it does. Everything that is the same for all of them happens here
// and only here: who is calling, may they, the correlation id, decoding errors,
// panics, the log line, the metrics, the JSON and the error envelope.
//
// # Invariants
//
//   - Every answer carries X-Correlation-ID, the request's own where it sent one.
//   - Every error has the envelope {error, message, status_code, details}; what
//     is not a *fault.Error is a 500 that gives nothing away.
//   - Who is calling and what they may do is settled before the body is read. Then
//     comes a slot, of which no caller has more than a quarter, then the body,
//     within a deadline.
//   - The rest of a refused body is thrown away within bounds, so that its sender
//     sees the answer.
//   - Another site's page cannot write here through a user's browser (Guard).
//   - A handler that panics answers 500 and the server lives on.
package httpapi
