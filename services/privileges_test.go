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
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/settings"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services"
)

// restrictedNATS runs a server with deploy/nats/single.conf, and makes the log as
// an operator does.
func restrictedNATS(t *testing.T) (address string) {
	t.Helper()
	address = emptyNATS(t)
	js, _ := signIn(t, address, "operator")
	require.NoError(t, stream.DefaultTopology().Reshape(t.Context(), js))
	_, err := auth.EnsureBucket(t.Context(), js, 1)
	require.NoError(t, err)
	_, err = settings.EnsureBucket(t.Context(), js, 1)
	require.NoError(t, err)
	return address
}

// emptyNATS is restrictedNATS without a log.
func emptyNATS(t *testing.T) (address string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"single.conf", "users.conf"} {
		data, err := os.ReadFile("../deploy/nats/" + name)
		require.NoError(t, err)
		conf := strings.NewReplacer("0.0.0.0:4222", testkit.FreeAddr(t), "/data", t.TempDir()).Replace(string(data))
		conf = regexp.MustCompile(`\$NATS_[A-Z]+_PASSWORD`).ReplaceAllString(conf, "secret")
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(conf), 0o600))
	}
	opts, err := server.ProcessConfigFile(filepath.Join(dir, "single.conf"))
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

// signIn connects as a user of users.conf, with the inbox prefix of its role, and
// returns the refusals that the server sends.
func signIn(t *testing.T, address, user string) (jetstream.JetStream, <-chan error) {
	t.Helper()
	refusals := make(chan error, 100)
	nc, err := nats.Connect("nats://"+user+":secret@"+address, nats.CustomInboxPrefix("_INBOX."+user),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refusals <- err }))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js, refusals
}

// ownDatabase makes a database whose owner is no superuser, migrated by that owner,
// with the rights of deploy/postgres/roles.sql.
func ownDatabase(t *testing.T) (super, owner string, as func(role string) string) {
	t.Helper()
	ctx := t.Context()
	super = testkit.EmptyDatabase(t)
	conn, err := pgx.Connect(ctx, super)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	as = func(role string) string {
		u, err := url.Parse(super)
		require.NoError(t, err)
		u.User = url.UserPassword(role, "secret")
		return u.String()
	}
	for _, role := range []string{"lakepulse_owner", "lakepulse_writer", "lakepulse_query", "lakepulse_aggregate", "lakepulse_nobody"} {
		// Roles belong to the whole server: another test may make the same.
		_, err = conn.Exec(ctx, fmt.Sprintf(`DO $$ BEGIN CREATE ROLE %s LOGIN PASSWORD 'secret';
			EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`, role))
		require.NoError(t, err)
	}
	_, err = conn.Exec(ctx, fmt.Sprintf(`ALTER DATABASE %s OWNER TO lakepulse_owner`, pgx.Identifier{conn.Config().Database}.Sanitize()))
	require.NoError(t, err)
	owner = as("lakepulse_owner")
	require.NoError(t, postgres.MigrateUp(ctx, owner))
	roles, err := os.ReadFile("../deploy/postgres/roles.sql")
	require.NoError(t, err)
	byOwner, err := pgx.Connect(ctx, owner)
	require.NoError(t, err)
	defer func() { require.NoError(t, byOwner.Close(ctx)) }()
	for range 2 { // again changes nothing
		_, err = byOwner.Exec(ctx, string(roles))
		require.NoError(t, err)
	}
	return super, owner, as
}

// TestLeastPrivilege runs every role with the rights the deployment files give
// it, from an accepted event to a run that deletes it.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	_, owner, as := ownDatabase(t)
	log := restrictedNATS(t)
	configure := func(natsUser, database string) services.Config {
		cfg := outside(t, "nats://"+natsUser+":secret@"+log, database)
		cfg.NATS.InboxPrefix = "_INBOX." + natsUser
		cfg.Migrate = false
		return cfg
	}
	writerURL, queryURL, aggregateURL := as("lakepulse_writer"), as("lakepulse_query"), as("lakepulse_aggregate")
	ingest, writer := configure("ingest", ""), configure("writer", writerURL)
	query, aggregate := configure("query", queryURL), configure("aggregate", aggregateURL)
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
}

// TestLeastPrivilegeOfAll: one process with every role makes the log it is missing.
func TestLeastPrivilegeOfAll(t *testing.T) {
	t.Parallel()
	_, owner, _ := ownDatabase(t)
	cfg := outside(t, "nats://all:secret@"+emptyNATS(t), owner)
	cfg.NATS.InboxPrefix = "_INBOX.all"
	run(t, services.All, cfg)
	await(t, cfg, "/ready", ready)
	send(t, cfg, 3)
	await(t, cfg, shop, requests(3))
}
