package services_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services"
)

// TestRollingUpgrade moves the schema up, down and up again under two writers
// that work all the time: a migration suits the writers before and after it.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	nats, database := testkit.NATS(t).URL(), testkit.EmptyDatabase(t)
	schema := postgres.DefaultConfig()
	schema.URL = database
	require.NoError(t, postgres.Migrate(ctx, schema))
	newest, _, err := postgres.MigrationVersion(ctx, schema)
	require.NoError(t, err)
	down := func() { require.NoError(t, postgres.MigrateDown(ctx, schema, int(newest)-1)) }
	up := func() { require.NoError(t, postgres.Migrate(ctx, schema)) }
	down()

	ingest := outside(t, nats, "")
	run(t, services.Ingest, ingest)
	for range 2 {
		writer := outside(t, nats, database)
		writer.Migrate = false
		run(t, services.Writer, writer)
		await(t, writer, "/health", ready)
	}
	await(t, ingest, "/ready", ready)

	conn, err := pgx.Connect(ctx, database)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(ctx)) })
	sent := 0
	stored := func(what string) {
		send(t, ingest, 50)
		sent += 50
		testkit.Eventually(t, "everything to be stored "+what, func() bool {
			var rows, ids int
			err := conn.QueryRow(ctx, `SELECT count(*), count(DISTINCT id) FROM metrics.performance_metrics WHERE app = 'shop'`).Scan(&rows, &ids)
			return err == nil && rows == sent && ids == sent
		})
	}
	stored("on the older schema")
	up()
	stored("on the newer schema")
	down()
	stored("on the older schema again")
	up()
	stored("on the newer schema again")
}
