package services_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// What each role must not be able to do. Every attempt is made as the role itself,
// against the real server with the files of deploy/; one that succeeds fails the test.

const rawRow = `(id, "timestamp", received_at, app, event_type, user_id) VALUES (gen_random_uuid(), now(), now(), 'a', 'x', 'u')`

// refusedToAll is refused to every role of a service, the owner's own statements
// among them.
var refusedToAll = []string{
	`CREATE TEMP TABLE t (n int)`,
	`CREATE TEMP VIEW purge_line AS SELECT now() AS purged_before`,
	`CREATE FUNCTION pg_temp.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz'`,
	`CREATE TABLE metrics.mine (n int)`,
	`CREATE TABLE public.mine (n int)`,
	`CREATE SCHEMA mine`,
	`CREATE FUNCTION metrics.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
	`CREATE OR REPLACE FUNCTION metrics.drop_raw_partition(raw_table text, day date) RETURNS boolean LANGUAGE sql AS 'SELECT true'`,
	`CREATE EXTENSION pg_stat_statements`,
	`CREATE ROLE mine`,
	`ALTER ROLE lakepulse_owner PASSWORD 'mine'`,
	`ALTER ROLE CURRENT_USER SUPERUSER`,
	`GRANT lakepulse_owner TO CURRENT_USER`,
	`SET ROLE lakepulse_owner`,
	`SET SESSION AUTHORIZATION lakepulse_owner`,
	`ALTER DATABASE CURRENT_DATABASE_NAME SET search_path = public`,
	`ALTER FUNCTION metrics.ensure_raw_partition(text, date) SECURITY INVOKER`,
	`ALTER TABLE metrics.usage_events ADD COLUMN mine int`,
	`ALTER TABLE metrics.usage_events DISABLE TRIGGER ALL`,
	`CREATE TRIGGER mine BEFORE INSERT ON metrics.usage_events EXECUTE FUNCTION suppress_redundant_updates_trigger()`,
	`CREATE INDEX ON metrics.usage_events (app)`,
	`DROP TABLE metrics.usage_events`,
	`DROP SCHEMA metrics CASCADE`,
	`TRUNCATE metrics.usage_events`,
	`UPDATE metrics.schema_migrations SET version = 0`,
	`DELETE FROM metrics.schema_migrations`,
	`UPDATE metrics.performance_metrics SET status_code = 200`,
	`UPDATE metrics.usage_events SET user_id = 'somebody else'`,
	`UPDATE metrics.settings SET value = '1h'`,
	`DELETE FROM metrics.settings`,
	`ALTER DEFAULT PRIVILEGES FOR ROLE lakepulse_owner GRANT SELECT ON TABLES TO lakepulse_nobody`,
	`COPY metrics.usage_events TO PROGRAM 'id'`,
	`COPY (SELECT 1) TO '/tmp/mine'`,
	`SELECT pg_read_file('/etc/passwd')`,
	`SELECT lo_import('/etc/passwd')`,
	`ALTER SYSTEM SET jit = off`,
}

var refusedTo = map[string][]string{
	"lakepulse_writer": {
		`DELETE FROM metrics.usage_events`,
		`DELETE FROM metrics.aggregate_hours`,
		`SELECT * FROM metrics.aggregate_hours`,
		`SELECT secret_sha256 FROM metrics.api_keys`,
		`INSERT INTO metrics.api_keys (key_id, app, secret_sha256, created_at) VALUES ('aaaaaaaaaaaa', 'a', '\x00', now())`,
		`UPDATE metrics.api_keys SET revoked_at = NULL`,
		`INSERT INTO metrics.app_readers (app, reader_type, reader) VALUES ('a', 'user', 'me')`,
		`UPDATE metrics.purge_line SET purged_before = now()`,
		`DELETE FROM metrics.event_ledger`,
		`SELECT metrics.drop_raw_partition('usage_events', current_date + 1)`,
		`SELECT metrics.histogram_bucket(1)`,
	},
	"lakepulse_query": {
		`INSERT INTO metrics.usage_events ` + rawRow,
		`DELETE FROM metrics.usage_events`,
		`INSERT INTO metrics.event_ledger VALUES (gen_random_uuid(), now(), '', '', '', '', '', 1)`,
		`UPDATE metrics.purge_line SET purged_before = now()`,
		`UPDATE metrics.stream_positions SET sequence = 0`,
		`DELETE FROM metrics.aggregate_hours`,
		`INSERT INTO metrics.settings (name, value) VALUES ('raw-retention', '1h')`,
		`SELECT metrics.ensure_raw_partition('usage_events', current_date)`,
		`SELECT metrics.drop_raw_partition('usage_events', current_date + 1)`,
	},
	"lakepulse_aggregate": {
		`INSERT INTO metrics.usage_events ` + rawRow,
		`SELECT * FROM metrics.api_keys`,
		`INSERT INTO metrics.apps (app) VALUES ('mine')`,
		`DELETE FROM metrics.app_readers`,
		`UPDATE metrics.stream_positions SET sequence = 9`,
		`DELETE FROM metrics.purge_line`,
		`INSERT INTO metrics.purge_line DEFAULT VALUES`,
		`SELECT metrics.ensure_raw_partition('usage_events', current_date)`,
	},
	"lakepulse_nobody": {
		`SELECT * FROM metrics.usage_events`,
		`SELECT * FROM metrics.schema_migrations`,
		`SELECT metrics.histogram_bucket(1)`,
		`SELECT metrics.ensure_raw_partition('usage_events', current_date)`,
		`SELECT metrics.drop_raw_partition('usage_events', current_date)`,
	},
	// The owner owns the schema and nothing of the server.
	"lakepulse_owner": {
		`ALTER ROLE CURRENT_USER SUPERUSER`,
		`CREATE ROLE mine`,
		`CREATE DATABASE mine`,
		`COPY metrics.usage_events TO PROGRAM 'id'`,
		`SELECT pg_read_file('/etc/passwd')`,
		`ALTER SYSTEM SET jit = off`,
		`SET ROLE postgres_superuser_of_the_test`,
	},
}

func TestDatabaseRightsByWhatIsRefused(t *testing.T) {
	t.Parallel()
	super, _, as := ownDatabase(t)
	for role, statements := range refusedTo {
		if role != "lakepulse_owner" {
			statements = append(append([]string{}, refusedToAll...), statements...)
			require.GreaterOrEqual(t, len(statements), 40)
		}
		conn, err := pgx.Connect(t.Context(), as(role))
		require.NoError(t, err)
		superConfig, err := pgx.ParseConfig(super)
		require.NoError(t, err)
		for _, statement := range statements {
			statement = strings.NewReplacer("CURRENT_DATABASE_NAME", superConfig.Database,
				"postgres_superuser_of_the_test", pgx.Identifier{superConfig.User}.Sanitize()).Replace(statement)
			t.Run(role+": "+statement, func(t *testing.T) {
				require.ErrorContains(t, attempt(t, conn, statement), "42501", "refused for want of a right")
			})
		}
		require.NoError(t, conn.Close(t.Context()))
	}
}

// attempt runs a statement and takes it back, should it have succeeded. Two kinds of
// statement run outside transactions only.
func attempt(t *testing.T, conn *pgx.Conn, statement string) error {
	t.Helper()
	if strings.HasPrefix(statement, "ALTER SYSTEM") || strings.HasPrefix(statement, "CREATE DATABASE") {
		_, err := conn.Exec(t.Context(), statement)
		return err
	}
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), statement)
	require.NoError(t, tx.Rollback(t.Context()))
	return err
}

// refusedOnLog returns attempts on the log: what is published where, or subscribed to with "sub ".
func refusedOnLog(user string) []string {
	var list []string
	for _, s := range []string{"METRICS", "METRICS_DEAD", "KV_LAKEPULSE_KEYS", "KV_LAKEPULSE_SETTINGS"} {
		for _, verb := range []string{"DELETE", "PURGE", "UPDATE", "SNAPSHOT", "RESTORE", "MSG.DELETE", "LEADER.STEPDOWN"} {
			list = append(list, "$JS.API.STREAM."+verb+"."+s)
		}
	}
	list = append(list,
		"$JS.API.STREAM.CREATE.MINE", // may have METRICS as a source, or transform its subjects
		"$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST",
		"$JS.API.CONSUMER.DELETE.METRICS.writer",
		"$JS.API.CONSUMER.PAUSE.METRICS.writer",
		"$JS.API.CONSUMER.CREATE.METRICS.other",
		"$JS.API.CONSUMER.DURABLE.CREATE.METRICS.other",
		"$JS.API.CONSUMER.CREATE.METRICS_DEAD.other",
		"$JS.API.CONSUMER.MSG.NEXT.METRICS.other",
		"$JS.API.ACCOUNT.PURGE.$G", "$JS.API.META.LEADER.STEPDOWN", "$JS.API.SERVER.REMOVE",
		"$SYS.REQ.SERVER.PING", "$KV.OTHER.key", "$O.OTHER.C.x", "anything.else",
		"sub >", "sub metrics.>", "sub metrics.usage.*", "sub metrics_dead.>", "sub $KV.>", "sub $JS.API.>", "sub $JS.ACK.>", "sub $SYS.>", "sub _INBOX.>",
	)
	for _, other := range []string{"ingest", "writer", "query", "aggregate", "all", "operator"} {
		if other != user {
			list = append(list, "sub _INBOX."+other+".>")
		}
	}
	return list
}

func TestLogRightsByWhatIsRefused(t *testing.T) {
	t.Parallel()
	log := restrictedNATS(t)
	more := map[string][]string{
		"ingest": {"metrics_dead.usage.shop", "$KV.LAKEPULSE_KEYS.aaaaaaaaaaaa", "$KV.LAKEPULSE_SETTINGS.installation", "$JS.API.STREAM.CREATE.METRICS",
			"$JS.API.DIRECT.GET.METRICS", "$JS.API.STREAM.MSG.GET.METRICS", "$JS.ACK.METRICS.writer.1.1.1.1.0", "$JS.API.CONSUMER.CREATE.METRICS.writer",
			"$JS.API.CONSUMER.MSG.NEXT.METRICS.writer", "metrics_confirm.x", "metrics_state.database", "sub lakepulse.aggregate.>"},
		"writer": {"metrics.usage.shop", "metrics.performance.shop", "metrics.ledger.ingest", "$KV.LAKEPULSE_KEYS.aaaaaaaaaaaa", "$JS.API.STREAM.CREATE.METRICS",
			"$JS.API.DIRECT.GET.KV_LAKEPULSE_KEYS.$KV.LAKEPULSE_KEYS.a", "$JS.API.CONSUMER.CREATE.KV_LAKEPULSE_KEYS.x", "sub metrics_confirm.>", "sub lakepulse.aggregate.>"},
		"query": {"metrics.usage.shop", "metrics_dead.usage.shop", "$KV.LAKEPULSE_SETTINGS.installation", "$JS.API.STREAM.CREATE.KV_LAKEPULSE_KEYS",
			"$JS.API.DIRECT.GET.METRICS", "$JS.ACK.METRICS.writer.1.1.1.1.0", "metrics_confirm.x", "sub metrics_confirm.>", "sub lakepulse.aggregate.>"},
		"aggregate": {"metrics.usage.shop", "metrics_dead.usage.shop", "$KV.LAKEPULSE_KEYS.aaaaaaaaaaaa", "$KV.LAKEPULSE_SETTINGS.installation",
			"$JS.API.DIRECT.GET.METRICS", "$JS.ACK.METRICS.writer.1.1.1.1.0", "metrics_confirm.x", "sub metrics_confirm.>", "_INBOX.operator.x"},
		"all": {"$JS.API.STREAM.CREATE.OTHER", "$JS.API.CONSUMER.DELETE.KV_LAKEPULSE_SETTINGS.x", "metrics.other.shop", "metrics"},
	}
	for user, own := range more {
		attempts := append(refusedOnLog(user), own...)
		require.GreaterOrEqual(t, len(attempts), 40)
		js, refusals := signIn(t, log, user)
		for _, attempt := range attempts {
			t.Run(fmt.Sprintf("%s: %s", user, attempt), func(t *testing.T) {
				requireRefused(t, js.Conn(), refusals, attempt)
			})
		}
	}
	operator, _ := signIn(t, log, "operator")
	info, err := operator.Stream(t.Context(), "METRICS")
	require.NoError(t, err, "the log has survived all of it")
	require.Zero(t, info.CachedInfo().State.Msgs)
}

func requireRefused(t *testing.T, nc *nats.Conn, refusals <-chan error, attempt string) {
	t.Helper()
	if subject, isSub := strings.CutPrefix(attempt, "sub "); isSub {
		sub, err := nc.SubscribeSync(subject)
		require.NoError(t, err)
		defer func() { _ = sub.Unsubscribe() }() // the server never had it
	} else {
		require.NoError(t, nc.PublishRequest(attempt, nc.NewInbox(), nil))
	}
	require.NoError(t, nc.FlushTimeout(10*time.Second))
	select {
	case err := <-refusals: // the server's refusal precedes its answer to the flush
		require.ErrorIs(t, err, nats.ErrPermissionViolation)
	case <-time.After(2 * time.Second):
		require.Fail(t, "the server let it happen")
	}
}
