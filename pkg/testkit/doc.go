// Package testkit gives tests real infrastructure and the few tools to wait and to
// break things without sleeping: databases, NATS servers, a settable clock, a logger,
// a cuttable network.
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		dsn := testkit.Database(t)           // migrated, empty, this test's own
//		nats := testkit.NATS(t)              // this test's own
//		testkit.Eventually(t, "row stored", func() bool { … })
//	}
//
// Invariants:
//
//   - Nothing is shared between tests but the PostgreSQL server, and nothing between
//     test processes: any number may run at once, whatever TMPDIR is.
//   - What a helper starts is stopped by t.Cleanup, or by Main for the shared server;
//     a test process that is killed takes its servers along.
//   - With LAKEPULSE_TEST_DATABASE_URL set, databases are made on that server instead of
//     one started for the occasion. OwnPostgres starts its own all the same.
//   - Waiting has a deadline far beyond what is needed; it bounds a failure, and asserts
//     nothing about speed.
package testkit
