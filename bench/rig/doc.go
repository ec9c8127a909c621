// Package rig starts what the benchmarks run against and counts what it costs.
//
// # Invariants
//
//   - Whatever is started here ends with this process, however that ends.
//   - All contenders of a comparison share one Postgres server with the product's
//     own durable settings, each in a database of its own.
//   - CPU seconds are those of whole process trees, ended children included.
//     Postgres is counted apart from everything else.
package rig
