// Package postgres is the access to the database: the pool, transactions, the
// classification of Postgres' errors, and the migrations.
//
// Invariants:
//
//   - Opening never fails because the database is away. A pool connects when it is
//     used, so every service starts, answers /health and waits.
//   - No session state outlives a transaction. Lakebase suspends idle computes and
//     drops sessions with their locks, temporary tables and prepared statements. A
//     session whose state caused an error ([SessionAtFault]) is closed.
//   - All tables live in the schema [Schema], which is first in the search path of
//     every connection; nothing is created in public.
//   - Errors are classified here and nowhere else ([Classify], [Unreachable],
//     [SessionAtFault]). Content is not cured by a retry, a Conflict is cured by an
//     immediate one, and anything else is an outage and is waited out.
package postgres
