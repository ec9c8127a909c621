// Package lakebase logs in to Databricks' managed Postgres, whose passwords are
// OAuth tokens that live for an hour.
//
//	DATABRICKS_CLIENT_ID/_SECRET ─► workspace ─► database token ─► Source (cached)
//	                                                                  │ per new connection
//	                                                pgxpool BeforeConnect ─► password
//
// Three ways to a token, the first that is configured: an Autoscaling endpoint
// (LAKEBASE_ENDPOINT), a Provisioned instance (LAKEBASE_INSTANCE), or else the
// workspace token itself, which Lakebase accepts as a password too.
//
// # Invariants
//
//   - Making a Source and tuning a pool calls nobody: a workspace that is away
//     when the process starts delays the first connection and fails nothing else.
//   - A token is used until it expires and replaced before: from RefreshBefore
//     on, whoever connects gets the old one at once while one refresh runs beside.
//     So a workspace that is away for minutes is not noticed.
//   - At most one refresh runs at a time, however many connect; it outlives the
//     connection attempt that began it, and ends within Timeout.
//   - A token that Postgres refuses is forgotten, so the next connection asks for
//     another. Expiry is checked at login only: open connections are not touched.
//   - TLS is verified against the system's roots and the host's name unless
//     LAKEPULSE_PG_SSLMODE says otherwise: PGSSLMODE=require, which Databricks
//     Apps set, would encrypt to whoever answers.
//   - Tokens are never logged.
package lakebase
