// Package query answers the admin API: the numbers of the dashboard, the rows
// behind them and the state of the pipeline. It reads and never writes.
//
//	endpoints (this package)      parameters in, the contract's types out
//	  ├── records                 raw rows as they are: lists, exports
//	  │     │
//	  ├── history                 numbers merged from raw rows and aggregates
//	  │     │
//	  ├── pipeline                what writers and aggregator report of themselves
//	  │     │
//	  └── snapshot                one transaction, one moment, one deadline; SQL
//
// Imports go down only. The SQL over aggregates stands in two files of package
// history, see its documentation.
//
// # Invariants
//
//   - All numbers of an answer are read in one snapshot, and so is what says which
//     hours are aggregated.
//   - Every answer says what it rests on: exact or bounded, how many events,
//     complete up to when, and which start and end were really used.
//   - A query ends after Config.Timeout on both sides of the wire and is then a
//     503, as is a database that is away.
//   - Lists are never null, ratios are numbers 0..1, nothing is unbounded.
package query
