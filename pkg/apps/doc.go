// Package apps is the record of apps that administrators keep: their API keys,
// their service principals, and the people and groups who may read their numbers.
//
//	administrator ──► database (apps, api_keys, …) ──► key bucket of the log ──► ingest
//	 page, command                                 Mirror, every few seconds
//
// # Invariants
//
//   - The database is the record. The bucket is a copy that can be lost with the
//     log and is filled again: at the start, after each change, and every few
//     seconds in case a change was made by somebody without the log.
//   - A key's secret is in no table, no log and no answer but the one that made it.
//   - A key belongs to one app for ever; revoking ends it for good.
//   - A reader's right is one app. No right here makes an administrator.
package apps
