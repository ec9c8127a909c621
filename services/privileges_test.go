package services_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services"
)

// restrictedNATS runs one server with the users and permissions of
// deploy/nats/nats.conf, without the cluster around it.
func restrictedNATS(t *testing.T) (address string) {
	t.Helper()
	data, err := os.ReadFile("../deploy/nats/nats.conf")
	require.NoError(t, err)
	conf := regexp.MustCompile(`(?s)\ncluster \{.*?\n\}\n`).ReplaceAllString(string(data), "\n")
	conf = strings.NewReplacer("0.0.0.0:4222", testkit.FreeAddr(t), "/data", t.TempDir()).Replace(conf)
	for _, name := range []string{"NAME", "INGEST_PASSWORD", "WRITER_PASSWORD", "READER_PASSWORD", "OPERATOR_PASSWORD"} {
		conf = strings.ReplaceAll(conf, "$NATS_"+name, "secret")
	}
	path := filepath.Join(t.TempDir(), "nats.conf")
	require.NoError(t, os.WriteFile(path, []byte(conf), 0o600))
	opts, err := server.ProcessConfigFile(path)
	require.NoError(t, err)
	require.True(t, opts.SyncAlways, "an acknowledgement is a promise")
	opts.NoSigs = true
	s, err := server.NewServer(opts)
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(30*time.Second))
	return s.Addr().String()
}

// restrictedRoles makes the roles of deploy/postgres/roles.sql and returns a
// function that gives a role's connection string.
func restrictedRoles(t *testing.T, owner string) func(role string) string {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, owner)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	data, err := os.ReadFile("../deploy/postgres/roles.sql")
	require.NoError(t, err)
	for range 2 { // again changes nothing
		_, err = conn.Exec(ctx, string(data))
		require.NoError(t, err)
	}
	return func(role string) string {
		_, err := conn.Exec(ctx, fmt.Sprintf(`ALTER ROLE %s PASSWORD 'secret'`, pgx.Identifier{role}.Sanitize()))
		require.NoError(t, err)
		u, err := url.Parse(owner)
		require.NoError(t, err)
		u.User = url.UserPassword(role, "secret")
		return u.String()
	}
}

// TestLeastPrivilege runs every role with the rights the deployment files give
// it, from an accepted event to a run that deletes it.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	owner := testkit.Database(t)
	nats := restrictedNATS(t)
	as := restrictedRoles(t, owner)
	configure := func(natsUser, database string) services.Config {
		cfg := outside(t, "nats://"+natsUser+":secret@"+nats, database)
		cfg.Migrate = false
		return cfg
	}
	writerURL, queryURL, aggregateURL := as("lakepulse_writer"), as("lakepulse_query"), as("lakepulse_aggregate")
	ingest, writer := configure("ingest", ""), configure("writer", writerURL)
	query, aggregate := configure("reader", queryURL), configure("reader", aggregateURL)
	run(t, services.Ingest, ingest)
	run(t, services.Writer, writer)
	run(t, services.Query, query)
	run(t, services.Aggregate, aggregate)
	for _, cfg := range []services.Config{ingest, writer, query, aggregate} {
		await(t, cfg, "/ready", ready)
	}
	send(t, ingest, 4)
	await(t, query, shop, requests(4))
	ctx := t.Context()

	t.Run("a run aggregates and deletes", func(t *testing.T) {
		conn, err := pgx.Connect(ctx, owner)
		require.NoError(t, err)
		defer func() { require.NoError(t, conn.Close(ctx)) }()
		_, err = conn.Exec(ctx, `SELECT metrics.ensure_raw_partition('performance_metrics', (now() - interval '8 days')::date)`)
		require.NoError(t, err)
		_, err = conn.Exec(ctx, `INSERT INTO metrics.performance_metrics (id, "timestamp", received_at, app, endpoint, method, status_code, response_time_ms)
			VALUES (gen_random_uuid(), now() - interval '8 days', now() - interval '8 days', 'old', '/', 'GET', 200, 1)`)
		require.NoError(t, err)
		resp, err := http.Post("http://"+aggregate.Listen+"/api/v1/aggregation/runs", "application/json", nil)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusAccepted, resp.StatusCode)
		testkit.Eventually(t, "the old row to be summarised", func() bool {
			var rows, summarised int
			err := conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM metrics.performance_metrics WHERE app = 'old'),
				(SELECT count(*) FROM metrics.aggregated_metrics WHERE app = 'old')`).Scan(&rows, &summarised)
			return err == nil && rows == 0 && summarised == 1
		})
	})

	refused := map[string]struct{ url, sql string }{
		"the writer deletes nothing":            {writerURL, `DELETE FROM metrics.usage_events`},
		"the writer changes nothing":            {writerURL, `UPDATE metrics.performance_metrics SET status_code = 200`},
		"query writes nothing":                  {queryURL, `INSERT INTO metrics.event_ledger VALUES (gen_random_uuid(), now(), '', '', '', '', '', 1)`},
		"query makes no partitions":             {queryURL, `SELECT metrics.ensure_raw_partition('usage_events', current_date)`},
		"aggregate adds no raw rows":            {aggregateURL, `INSERT INTO metrics.usage_events (id, "timestamp", received_at, app, event_type, user_id) VALUES (gen_random_uuid(), now(), now(), '', '', '')`},
		"none of them changes tables":           {aggregateURL, `DROP TABLE metrics.usage_events`},
		"none of them touches the migrations":   {aggregateURL, `UPDATE metrics.schema_migrations SET version = 0`},
		"the aggregate's rights are no writers": {writerURL, `DELETE FROM metrics.aggregate_hours`},
	}
	for name, c := range refused {
		t.Run(name, func(t *testing.T) {
			conn, err := pgx.Connect(ctx, c.url)
			require.NoError(t, err)
			defer func() { require.NoError(t, conn.Close(ctx)) }()
			_, err = conn.Exec(ctx, c.sql)
			require.ErrorContains(t, err, "42501", "permission denied or not the owner")
		})
	}
}
