package lakebase

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/pkg/testkit/workspacetest"
)

type lakebaseBundle struct {
	workspace *workspacetest.Workspace
	gateway   *workspacetest.Gateway
	pool      *pgxpool.Pool
}

// setupPool opens a pool to a real Postgres that accepts only unexpired tokens.
// Connections live for a moment, so that logins never stop.
func setupPool(t *testing.T, life time.Duration, change ...func(*pgxpool.Config)) lakebaseBundle {
	t.Helper()
	ws := workspacetest.Start(t, life)
	gateway := workspacetest.StartGateway(t, ws, testkit.EmptyDatabase(t))
	cfg := DefaultConfig()
	cfg.Host, cfg.ClientID, cfg.ClientSecret = ws.URL(), workspacetest.ClientID, workspacetest.ClientSecret
	cfg.Endpoint, cfg.SSLMode, cfg.User = workspacetest.Endpoint, SSLDisable, workspacetest.ClientID
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	source, err := New(Params{Config: cfg, Logger: testkit.Logger(t), Clock: time.Now, Transport: transport})
	require.NoError(t, err)
	pc, err := pgxpool.ParseConfig(gateway.DSN())
	require.NoError(t, err)
	require.NoError(t, source.Tune(pc))
	pc.MaxConns = 4
	for _, c := range change {
		c(pc)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), pc)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return lakebaseBundle{workspace: ws, gateway: gateway, pool: pool}
}

func query(ctx context.Context, pool *pgxpool.Pool) error {
	var one int
	return pool.QueryRow(ctx, "SELECT 1").Scan(&one)
}

func TestTokensExpire(t *testing.T) {
	t.Parallel()
	// An hour of tokens and of connections, a thousand times faster.
	b := setupPool(t, 3*time.Second, func(pc *pgxpool.Config) {
		pc.MaxConnLifetime, pc.MaxConnLifetimeJitter = 50*time.Millisecond, 10*time.Millisecond
	})
	const wantTokens = 5
	var queries atomic.Int64
	failed := make(chan error, 1)
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for b.workspace.Minted() < wantTokens && t.Context().Err() == nil {
				if err := query(t.Context(), b.pool); err != nil {
					select {
					case failed <- err:
					default:
					}
					return
				}
				queries.Add(1)
			}
		})
	}
	clients.Wait()
	select {
	case err := <-failed:
		require.NoError(t, err)
	default:
	}
	accepted, refused := b.gateway.Logins()
	require.Zero(t, refused, "every login had a token that was still good")
	require.GreaterOrEqual(t, accepted, wantTokens)
	require.Positive(t, queries.Load())
	require.Equal(t, accepted, b.gateway.LoggedInAs(workspacetest.ClientID))
	require.Empty(t, b.workspace.Unknown())
}

func TestComputeSuspends(t *testing.T) {
	t.Parallel()
	b := setupPool(t, time.Hour)
	require.NoError(t, query(t.Context(), b.pool))
	before, _ := b.gateway.Logins()
	for range 3 {
		b.gateway.Suspend()
		require.Error(t, query(t.Context(), b.pool))
		b.gateway.Wake()
		testkit.EventuallyOK(t, "the database to answer again", func() error { return query(t.Context(), b.pool) })
	}
	after, refused := b.gateway.Logins()
	require.Greater(t, after, before)
	require.Zero(t, refused)
	require.Equal(t, 1, b.workspace.Minted(), "the token is as good after the suspension as before")
}

func TestRoleRotates(t *testing.T) {
	t.Parallel()
	b := setupPool(t, time.Hour)
	require.NoError(t, query(t.Context(), b.pool))
	b.workspace.Revoke()
	require.NoError(t, query(t.Context(), b.pool), "open connections are not touched")
	b.pool.Reset()
	err := query(t.Context(), b.pool)
	require.True(t, postgres.LoginRefused(err), "one login finds out: %v", err)
	require.NoError(t, query(t.Context(), b.pool), "the refused token was forgotten")
	require.Equal(t, 2, b.workspace.Minted())
}

// static is a password that never changes.
type static string

func (s static) Token(context.Context) (string, error) { return string(s), nil }

func TestApply(t *testing.T) {
	t.Parallel()
	parse := func(t *testing.T, dsn string) *pgxpool.Config {
		t.Helper()
		pc, err := pgxpool.ParseConfig(dsn)
		require.NoError(t, err)
		return pc
	}
	const dsn = "postgres://role@db.example:5432/metrics?sslmode="

	t.Run("require is raised to a verified connection", func(t *testing.T) {
		t.Parallel()
		pc := parse(t, dsn+"require")
		require.True(t, pc.ConnConfig.TLSConfig.InsecureSkipVerify, "what pgx makes of require")
		Apply(pc, static(""), DefaultConfig())
		require.False(t, pc.ConnConfig.TLSConfig.InsecureSkipVerify)
		require.Equal(t, "db.example", pc.ConnConfig.TLSConfig.ServerName)
		require.Empty(t, pc.ConnConfig.Fallbacks)
		require.Equal(t, 45*time.Minute, pc.MaxConnLifetime)
	})
	t.Run("prefer has no way back to the clear", func(t *testing.T) {
		t.Parallel()
		pc := parse(t, dsn+"prefer")
		Apply(pc, static(""), DefaultConfig())
		require.NotNil(t, pc.ConnConfig.TLSConfig)
		require.Empty(t, pc.ConnConfig.Fallbacks)
	})
	t.Run("disable is verified too unless configured", func(t *testing.T) {
		t.Parallel()
		pc := parse(t, dsn+"disable")
		Apply(pc, static(""), DefaultConfig())
		require.NotNil(t, pc.ConnConfig.TLSConfig)
		Apply(pc, static(""), Config{SSLMode: SSLDisable})
		require.Nil(t, pc.ConnConfig.TLSConfig)
		Apply(pc, static(""), Config{SSLMode: SSLRequire})
		require.True(t, pc.ConnConfig.TLSConfig.InsecureSkipVerify)
	})
	t.Run("a server with a strange certificate never sees the token", func(t *testing.T) {
		t.Parallel()
		addr, received := impostor(t)
		pc := parse(t, "postgres://role@"+addr+"/metrics?sslmode=require")
		Apply(pc, static("the-token"), DefaultConfig())
		pool, err := pgxpool.NewWithConfig(t.Context(), pc)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		require.ErrorContains(t, query(t.Context(), pool), "certificate")
		require.Empty(t, testkit.Receive(t, "the impostor's end", received))
	})
}

// impostor accepts TLS with a certificate nobody signed, and tells what it was
// sent after the handshake.
func impostor(t *testing.T) (addr string, received <-chan []byte) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	certificate := server.TLS.Certificates
	server.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	got := make(chan []byte, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return // the test is over
		}
		defer func() { _ = conn.Close() }() // an error says it is closed
		request := make([]byte, 8)          // SSLRequest
		if _, err := io.ReadFull(conn, request); err != nil {
			return
		}
		if _, err := conn.Write([]byte("S")); err != nil {
			return
		}
		// An error is the handshake the client broke off: what this test is for.
		data, _ := io.ReadAll(tls.Server(conn, &tls.Config{Certificates: certificate, MinVersion: tls.VersionTLS12}))
		got <- data
	}()
	return listener.Addr().String(), got
}
