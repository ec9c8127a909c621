// Package api is the HTTP contract.
//
// openapi.yaml is its only source: the Go types in gen.go and the TypeScript types of the dashboard
// (web/src/api/schema.gen.ts) are generated from it and never edited. Handlers build their answers from
// these types, and tests hold every response against the document, so that the three cannot drift apart.
//
// Invariants:
//   - Ratios are 0..1, times are RFC 3339 in UTC, durations are milliseconds unless the name says otherwise.
//   - A required number is always present, 0 included. An optional number that is absent is not known or did
//     not happen; it is never sent as 0.
//   - Fields are only ever added. Renaming or removing one breaks apps that are not ours.
package api

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi-codegen.yaml openapi.yaml
