// Package query answers the admin API: the numbers of the dashboard, the rows
// behind them and the state of the pipeline. It reads and never writes.
//
//	endpoint (performance.go, usage.go, …)   parameters in, the contract's types out
//	   │
//	snapshot (store.go)                      one transaction, one moment, one deadline
//	   │
//	coverage → plan (plan.go)                which hours raw rows answer, which aggregates
//	   │
//	SQL (sql_*.go)                           raw statements and aggregate statements
//
// # Invariants
//
//   - All numbers of an answer are read in one REPEATABLE READ snapshot, and so
//     is what says which hours stand in aggregates. No hour is counted twice and
//     none is missed, whatever the aggregator and the writers do meanwhile.
//   - Percentiles of several hours come from merged histograms and users of
//     several hours from merged sets; never an average, never a sum.
//   - Every answer says what it rests on: exact or bounded, how many events,
//     complete up to when, and which start and end were really used.
//   - A query ends after Config.Timeout on both sides of the wire and is then a
//     503, as is a database that is away.
//   - Lists are never null, ratios are numbers 0..1, nothing is unbounded.
package query
