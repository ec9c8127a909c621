// Package rules holds the rules by which every client, and ingest for OTLP,
// turn a request into a record: which requests are not recorded, the endpoint
// of a path without a route template, and the names of methods. Clients in other
// languages follow the same rules; the cases that all of them run are the JSON
// files in clients/spec.
//
// Invariants: the functions are pure, take any text, and return valid UTF-8 of
// bounded length. A text is measured in characters (code points), never bytes.
package rules
