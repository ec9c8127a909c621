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
//   - Authentication comes before the body is read.
//   - A handler that panics answers 500 and the server lives on.
package httpapi
