// Package embedded runs a NATS server and a PostgreSQL server on behalf of one
// lakepulse process: for `lakepulse standalone`, and for tests that want the real
// thing. Both bind loopback only and keep their files under one data directory:
//
//	<data-dir>/lock               held by the process that owns the directory
//	<data-dir>/nats/              JetStream's files
//	<data-dir>/nats.password      credential of the TCP listener, 0600
//	<data-dir>/nats.url           where the server listens, while it runs, 0600
//	<data-dir>/postgres/          the database cluster (or a link to it, see below)
//	<data-dir>/postgres.password  credential of the database's owner, 0600
//	<data-dir>/postgres.url       DSN of the database, while it runs, 0600
//
// Invariants:
//
//   - What is acknowledged is on disk. JetStream syncs before every acknowledgement
//     and PostgreSQL runs with fsync and synchronous_commit on; only the options
//     meant for tests (NATSConfig.RelaxedSync, PostgresConfig.Fast) give that up.
//   - A data directory has one user. The owner takes LockDataDir first; each server
//     besides guards its own files with a lock that the kernel drops when the process
//     dies, so a start never disturbs a server that is still in use.
//   - No process outlives its parent for good. PostgreSQL is its own process group, so
//     that Ctrl-C reaches only the parent, which flushes first and then stops it. When
//     the parent dies without a word Linux sends the postmaster SIGINT (a clean, fast
//     shutdown); elsewhere, and if that was missed, the next start on the same
//     directory finds the left-over postmaster and stops it.
//   - PostgreSQL refuses to run as root, so a root parent drops it to an unprivileged
//     account. A data directory which that account cannot enter (/root is the usual
//     one) holds a symbolic link to a directory under /var/lib/lakepulse instead.
//
// Unix only: it relies on flock, process groups and signals.
package embedded
