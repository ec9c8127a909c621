package embedded

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestPostgres(t *testing.T) {
	t.Parallel()
	t.Run("has our database, found by psql's search path", func(t *testing.T) {
		p := startPostgres(t, PostgresConfig{DataDir: dataDir(t), Fast: true})
		require.Equal(t, "lakepulse", queryText(t, p.DSN(), "SELECT current_database()"))
		require.Equal(t, `"$user", public, metrics`, queryText(t, p.DSN(), "SHOW search_path"))
	})
	t.Run("is durable unless told otherwise", func(t *testing.T) {
		durable := startPostgres(t, PostgresConfig{DataDir: dataDir(t)})
		fast := startPostgres(t, PostgresConfig{DataDir: dataDir(t), Fast: true})
		for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
			require.Equal(t, "on", queryText(t, durable.DSN(), "SHOW "+setting))
			require.Equal(t, "off", queryText(t, fast.DSN(), "SHOW "+setting))
		}
	})
	t.Run("takes settings of its caller", func(t *testing.T) {
		cfg := PostgresConfig{DataDir: dataDir(t), Fast: true, Settings: map[string]string{"work_mem": "5MB"}}
		require.Equal(t, "5MB", queryText(t, startPostgres(t, cfg).DSN(), "SHOW work_mem"))
	})
	t.Run("a wrong setting is an error that says so", func(t *testing.T) {
		cfg := PostgresConfig{DataDir: dataDir(t), Fast: true, Settings: map[string]string{"no_such_setting": "1"}}
		_, err := StartPostgres(t.Context(), cfg, quiet())
		require.ErrorContains(t, err, "no_such_setting")
	})
	t.Run("keeps its data and password between runs", func(t *testing.T) {
		cfg := PostgresConfig{DataDir: dataDir(t)}
		first := startPostgres(t, cfg)
		execSQL(t, first.DSN(), "CREATE TABLE kept AS SELECT 'kept' AS text")
		require.NoError(t, first.Close(t.Context()))
		second := startPostgres(t, cfg)
		require.Equal(t, first.password, second.password)
		require.Equal(t, "kept", queryText(t, second.DSN(), "SELECT text FROM kept"))
	})
	t.Run("runs beside another on another directory", func(t *testing.T) {
		one := startPostgres(t, PostgresConfig{DataDir: dataDir(t), Fast: true})
		two := startPostgres(t, PostgresConfig{DataDir: dataDir(t), Fast: true})
		execSQL(t, one.DSN(), "CREATE TABLE mine ()")
		execSQL(t, two.DSN(), "CREATE TABLE mine ()")
	})
	t.Run("a directory in use is refused, and stays in use", func(t *testing.T) {
		cfg := PostgresConfig{DataDir: dataDir(t), Fast: true}
		p := startPostgres(t, cfg)
		_, err := StartPostgres(t.Context(), cfg, quiet())
		require.ErrorIs(t, err, ErrInUse)
		require.ErrorContains(t, err, strconv.Itoa(os.Getpid()))
		require.Equal(t, "1", queryText(t, p.DSN(), "SELECT '1'"))
	})
	t.Run("no data directory is an error", func(t *testing.T) {
		_, err := StartPostgres(t.Context(), PostgresConfig{}, quiet())
		require.Error(t, err)
	})
}

func TestPostgresAccess(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	p := startPostgres(t, PostgresConfig{DataDir: dir, Fast: true})

	t.Run("other processes connect with the DSN in the file", func(t *testing.T) {
		content, err := os.ReadFile(filepath.Join(dir, "postgres.url"))
		require.NoError(t, err)
		require.Equal(t, p.DSN(), strings.TrimSpace(string(content)))
	})
	t.Run("nobody connects without the password", func(t *testing.T) {
		_, err := pgx.Connect(t.Context(), strings.Replace(p.DSN(), p.password, "guessed", 1))
		require.ErrorContains(t, err, "password authentication failed")
		require.Equal(t, "scram-sha-256", queryText(t, p.DSN(),
			"SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules"))
	})
	t.Run("only loopback listens, and no socket file", func(t *testing.T) {
		require.Equal(t, "127.0.0.1", queryText(t, p.DSN(), "SHOW listen_addresses"))
		require.Empty(t, queryText(t, p.DSN(), "SHOW unix_socket_directories"))
	})
	t.Run("its secrets are private", func(t *testing.T) {
		requirePrivate(t, filepath.Join(dir, "postgres.url"))
		requirePrivate(t, filepath.Join(dir, "postgres.password"))
	})
	t.Run("the initial password's copy is gone", func(t *testing.T) {
		require.NoFileExists(t, p.dir+".init-password")
	})
	t.Run("the DSN file goes with the server", func(t *testing.T) {
		require.NoError(t, p.Close(t.Context()))
		require.NoFileExists(t, filepath.Join(dir, "postgres.url"))
	})
}

func TestPostgresStartsInRelativeDirectory(t *testing.T) {
	t.Chdir(dataDir(t))
	p := startPostgres(t, PostgresConfig{DataDir: "data", Fast: true})
	require.Equal(t, "1", queryText(t, p.DSN(), "SELECT '1'"))
}

func TestPostgresCloses(t *testing.T) {
	t.Parallel()
	t.Run("leaving no process, for good", func(t *testing.T) {
		p := startPostgres(t, PostgresConfig{DataDir: dataDir(t), Fast: true})
		r := p.run
		done := p.Done()
		children, err := childrenOf(r.process.cmd.Process.Pid)
		require.NoError(t, err)
		require.NotEmpty(t, children)
		require.NoError(t, p.Close(t.Context()))
		for _, pid := range append(children, r.process.cmd.Process.Pid) {
			require.Empty(t, commandLine(pid))
		}
		<-done
		<-p.Done()
		require.NoError(t, p.Close(t.Context()))
		require.ErrorIs(t, p.Restart(t.Context()), ErrClosed)
	})
	t.Run("without waiting for clients", func(t *testing.T) {
		p := startPostgres(t, PostgresConfig{DataDir: dataDir(t), Fast: true})
		conn, err := pgx.Connect(t.Context(), p.DSN())
		require.NoError(t, err)
		require.NoError(t, p.Close(t.Context()))
		require.Error(t, conn.Ping(t.Context()))
	})
	for name, freeze := range map[string]func(*pgx.Conn, *Postgres) int{
		"by force when a backend hangs":      func(c *pgx.Conn, _ *Postgres) int { return int(c.PgConn().PID()) },
		"by force when the postmaster hangs": func(_ *pgx.Conn, p *Postgres) int { return p.run.process.cmd.Process.Pid },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := PostgresConfig{DataDir: dataDir(t)}
			p := startPostgres(t, cfg)
			execSQL(t, p.DSN(), "CREATE TABLE kept AS SELECT 'kept' AS text")
			conn, err := pgx.Connect(t.Context(), p.DSN())
			require.NoError(t, err)
			require.NoError(t, syscall.Kill(freeze(conn, p), syscall.SIGSTOP))
			expired, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorContains(t, p.Close(expired), "without its final checkpoint")
			require.Error(t, conn.Ping(t.Context()))
			require.Equal(t, "kept", queryText(t, startPostgres(t, cfg).DSN(), "SELECT text FROM kept"))
		})
	}
}

func TestPostgresKilledWhileItStarts(t *testing.T) {
	t.Parallel()
	cfg := PostgresConfig{DataDir: dataDir(t)}
	first := startPostgres(t, cfg)
	pidFile := filepath.Join(first.dir, "postmaster.pid")
	require.NoError(t, first.Close(t.Context()))
	var log bytes.Buffer
	kills := 2
	killer := make(chan struct{})
	started := make(chan struct{})
	go func() {
		defer close(killer)
		for last := 0; kills > 0; {
			select {
			case <-started:
				return
			default:
			}
			content, _ := os.ReadFile(pidFile) // not there yet, or half written: looked at again
			line, _, _ := strings.Cut(string(content), "\n")
			if pid, err := strconv.Atoi(line); err == nil && pid != last && syscall.Kill(pid, syscall.SIGKILL) == nil {
				last, kills = pid, kills-1
			}
		}
	}()
	p, err := StartPostgres(t.Context(), cfg, slog.New(slog.NewTextHandler(&log, nil)))
	close(started)
	<-killer
	require.NoError(t, err)
	one := queryText(t, p.DSN(), "SELECT '1'")
	require.NoError(t, p.Close(t.Context())) // nobody writes the log any more
	require.Equal(t, "1", one)
	require.Zero(t, kills)
	require.Equal(t, 2, strings.Count(log.String(), "starting it again"), log.String())
}

func TestPostgresComesBack(t *testing.T) {
	t.Parallel()
	p := startPostgres(t, PostgresConfig{DataDir: dataDir(t)})
	dsn := p.DSN()
	execSQL(t, dsn, "CREATE TABLE kept AS SELECT 'kept' AS text")
	requireBack := func(t *testing.T) {
		t.Helper()
		require.NoError(t, p.Restart(t.Context()))
		require.Equal(t, dsn, p.DSN())
		require.Equal(t, "kept", queryText(t, dsn, "SELECT text FROM kept"))
	}
	t.Run("running", requireBack)
	t.Run("killed", func(t *testing.T) {
		done := p.Done()
		require.NoError(t, p.Kill())
		<-done
		_, err := pgx.Connect(t.Context(), dsn)
		require.Error(t, err)
		requireBack(t)
	})
	t.Run("killed while clients work", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), dsn)
		require.NoError(t, err)
		require.NoError(t, p.Kill())
		require.Error(t, conn.Ping(t.Context()))
		requireBack(t)
	})
	t.Run("stopped", func(t *testing.T) {
		require.NoError(t, p.Stop(t.Context()))
		require.NoError(t, p.Stop(t.Context()), "stopping twice is no error")
		require.NoError(t, p.Kill(), "nor is killing what does not run")
		requireBack(t)
	})
	t.Run("crashed by itself", func(t *testing.T) {
		done := p.Done()
		require.NoError(t, p.run.process.signal(syscall.SIGKILL))
		<-done
		requireBack(t)
	})
	t.Run("after a start that ran out of time, which leaves no process", func(t *testing.T) {
		require.NoError(t, p.Stop(t.Context()))
		expired, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, p.Restart(expired), context.Canceled)
		require.Nil(t, p.run)
		requireBack(t)
	})
}
