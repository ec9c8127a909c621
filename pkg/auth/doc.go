// Package auth says who is calling. It is the only place that believes a
// header: everything behind it works with a Caller.
//
//	X-Lakepulse-Key, Bearer lp_…      X-Forwarded-Access-Token, Bearer …
//	            │                                    │
//	  Verifier (all keys in memory,        cache (SHA-256 of the token, 5 min)
//	  kept true by a watch on the                    │ miss, one call per token
//	  NATS KV bucket LAKEPULSE_KEYS)        workspace: current user (SCIM Me)
//	            │                                    │
//	        KindApp                  KindUser (admin or not), KindService
//
// # Invariants
//
//   - The proof is a key or a token. X-Forwarded-Email and -User beside a token
//     are not read: the user id is the userName the workspace answered. The one
//     exception is an allow-listed service principal inside Databricks Apps
//     (Config.TrustProxyHeaders), whose calls may reach us with X-Forwarded-User
//     alone; SECURITY.md states what that rests on.
//   - Fail secure: whatever is not a clear answer of the workspace (timeout,
//     429, 5xx, nonsense) is 503 and is not remembered. Only a verified
//     identity is remembered, administrator or not, for at most CacheTTL and
//     never past the expiry a token states of itself.
//   - The user's token is the only credential of the check. The process's own
//     Databricks credentials, environment and profile files cannot take its
//     place (see workspace.go), or every caller would be the app itself.
//   - Tokens and keys are never logged and never stored: the cache has their
//     SHA-256, the bucket has the SHA-256 of a key's secret.
//   - Memory and outgoing calls are bounded: CacheSize tokens, MaxVerifications
//     calls at once, tokens of at most 16 KiB.
//   - Until every key has been read once from the bucket, a key is neither good
//     nor bad: 503. After that a revocation is effective as soon as the watch
//     delivers it, milliseconds; cut off from NATS the last known keys stay.
package auth
