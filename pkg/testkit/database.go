package testkit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/embedded"
	"github.com/lakepulse/lakepulse/pkg/postgres"
)

// ServerVariable names a PostgreSQL server to use for Database: the DSN of a user that
// may create databases.
const ServerVariable = "LAKEPULSE_TEST_DATABASE_URL"

// serverPatience bounds starting, migrating and stopping a server; a busy machine may
// need long for an initdb.
const serverPatience = 2 * time.Minute

// Database returns the DSN of a migrated, empty database of the test's own. It is a
// clone of a template that is migrated once per process (some 50 ms), and dropped with
// the test, whoever is still connected.
func Database(t testing.TB) string {
	t.Helper()
	return shared.clone(t, true)
}

// EmptyDatabase is Database without our schema, for tests of the migrations.
func EmptyDatabase(t testing.TB) string {
	t.Helper()
	return shared.clone(t, false)
}

// OwnPostgres starts a server of the test's own, with the database migrated, for tests
// that kill, stop or restart it.
func OwnPostgres(t testing.TB) *embedded.Postgres {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), serverPatience)
	defer cancel()
	server, err := embedded.StartPostgres(ctx, embedded.PostgresConfig{DataDir: DataDir(t), Fast: true}, Logger(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close(context.Background())) })
	require.NoError(t, postgres.MigrateUp(ctx, server.DSN()))
	return server
}

// shared is the one server of this test process.
var shared sharedServer

type sharedServer struct {
	mu       sync.Mutex
	dir      string             // "" when the server is not ours
	server   *embedded.Postgres // nil when it is not ours
	adminDSN string             // "" until the first test wants a database
	template string             // "" until it is migrated
}

// clone makes a database for t and arranges its end.
func (s *sharedServer) clone(t testing.TB, migrated bool) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), serverPatience)
	defer cancel()
	admin, template, err := s.ready(ctx, migrated)
	require.NoError(t, err)
	name, err := freshName("lakepulse_test")
	require.NoError(t, err)
	statement := "CREATE DATABASE " + name
	if migrated {
		statement += " TEMPLATE " + template
	}
	require.NoError(t, execute(ctx, admin, statement))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), serverPatience)
		defer cancel()
		require.NoError(t, execute(ctx, admin, "DROP DATABASE "+name+" WITH (FORCE)"))
	})
	dsn, err := withDatabase(admin, name)
	require.NoError(t, err)
	return dsn
}

// ready starts the server, and migrates the template, for the first test that needs
// each; tests that come meanwhile wait. A failure is not kept: the next test tries anew.
func (s *sharedServer) ready(ctx context.Context, migrated bool) (admin, template string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.adminDSN == "" {
		if err := s.start(ctx); err != nil {
			return "", "", fmt.Errorf("start the shared database server: %w", err)
		}
	}
	if migrated && s.template == "" {
		if err := s.migrate(ctx); err != nil {
			return "", "", fmt.Errorf("make the template database: %w", err)
		}
	}
	return s.adminDSN, s.template, nil
}

func (s *sharedServer) start(ctx context.Context) error {
	if given := os.Getenv(ServerVariable); given != "" {
		s.adminDSN = given
		return nil
	}
	dir, err := scratchDir()
	if err != nil {
		return err
	}
	removeAbandoned(filepath.Dir(dir))
	// Its log belongs to no one test; what matters of it is in the errors it returns.
	server, err := embedded.StartPostgres(ctx, embedded.PostgresConfig{DataDir: dir, Fast: true}, slog.New(slog.DiscardHandler))
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	s.dir, s.server, s.adminDSN = dir, server, server.DSN()
	return nil
}

// migrate makes the template. It takes no connections afterwards: one would make every
// CREATE DATABASE from it fail.
func (s *sharedServer) migrate(ctx context.Context) error {
	name, err := freshName("lakepulse_template")
	if err != nil {
		return err
	}
	dsn, err := withDatabase(s.adminDSN, name)
	if err != nil {
		return err
	}
	if err := execute(ctx, s.adminDSN, "CREATE DATABASE "+name); err != nil {
		return err
	}
	err = postgres.MigrateUp(ctx, dsn)
	if err == nil {
		err = execute(ctx, s.adminDSN, "ALTER DATABASE "+name+" ALLOW_CONNECTIONS false")
	}
	if err != nil {
		return errors.Join(err, execute(ctx, s.adminDSN, "DROP DATABASE "+name+" WITH (FORCE)"))
	}
	s.template = name
	return nil
}

// stop ends what this process has started, and removes from a given server what was
// put there.
func (s *sharedServer) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), serverPatience)
	defer cancel()
	var err error
	switch {
	case s.server != nil:
		err = errors.Join(s.server.Close(ctx), os.RemoveAll(s.dir))
	case s.template != "":
		err = execute(ctx, s.adminDSN, "DROP DATABASE "+s.template+" WITH (FORCE)")
	}
	s.dir, s.server, s.adminDSN, s.template = "", nil, "", ""
	return err
}

// execute runs one statement on a connection of its own: a pool would outlive tests.
func execute(ctx context.Context, dsn, statement string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connect to the test server: %w", err)
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// freshName makes a database name that no other test process uses.
func freshName(prefix string) (string, error) {
	var random [6]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", err
	}
	return prefix + "_" + hex.EncodeToString(random[:]), nil
}

// withDatabase is dsn with another database.
func withDatabase(dsn, name string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme == "" {
		return "", fmt.Errorf("%s must be a postgres:// address", ServerVariable)
	}
	u.Path = "/" + name
	return u.String(), nil
}
