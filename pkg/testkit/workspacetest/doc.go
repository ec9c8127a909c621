// Package workspacetest is a Databricks workspace for tests: the few REST calls
// Lakepulse makes, and a Postgres login that accepts only the tokens minted there.
//
//	Workspace   current user (SCIM Me), OAuth client credentials and token exchange,
//	            database credentials (Autoscaling and Provisioned), app description
//	Gateway     in front of a real Postgres: asks for a password, accepts a database
//	            or workspace token that has not expired, then passes everything through
//
// It answers as the real calls are documented to; what only a live workspace can
// show is listed in docs/databricks.md.
//
// Invariants: everything listens on loopback; what Start and StartGateway start is
// stopped by t.Cleanup; a token is refused from the instant it expires, and a call
// that is not known is counted and answered with 404, never guessed.
package workspacetest
