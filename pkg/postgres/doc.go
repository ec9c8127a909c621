// Package postgres is how Lakepulse reaches its database: the pool, the
// transactions, the meaning of Postgres' errors, and the migrations.
//
// # Invariants
//
//   - Opening never fails because the database is away. A pool connects when it
//     is used, so every service starts, answers /health and waits.
//   - No session state outlives a transaction: Lakebase suspends idle computes
//     and drops sessions with their locks, temporary tables and prepared
//     statements.
//   - All tables live in the schema [Schema], which is first in the search path
//     of every connection; nothing is made in public.
//   - An error is one of three things ([Classify]): the content's fault, which
//     no retry cures; a clash of transactions, which an immediate retry cures;
//     anything else is an outage and is waited out.
package postgres
