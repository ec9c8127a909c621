package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// parentVariable turns the test binary into a parent process that runs PostgreSQL on
// the data directory it names, as `lakepulse standalone` does.
const parentVariable = "LAKEPULSE_EMBEDDED_TEST_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentVariable); dir != "" {
		if err := beParent(dir); err != nil {
			fmt.Fprintln(os.Stderr, "parent failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// parentReport is what a parent process says on its standard output once it is up.
type parentReport struct {
	DSN        string
	Postmaster int
}

func beParent(dir string) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	release, err := LockDataDir(dir)
	if err != nil {
		return err
	}
	defer release()
	p, err := StartPostgres(context.Background(), PostgresConfig{DataDir: dir, Fast: true}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	report := parentReport{DSN: p.DSN(), Postmaster: p.run.process.cmd.Process.Pid}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		return err
	}
	<-signals
	return p.Close(context.Background())
}

// parent is a running parent process.
type parent struct {
	parentReport
	cmd *exec.Cmd
}

func startParent(t *testing.T, dir string) *parent {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	return startParentAs(t, account{}, binary, dir)
}

func startParentAs(t *testing.T, who account, binary, dir string) *parent {
	t.Helper()
	cmd := who.command(t.Context(), filepath.Dir(dir), binary)
	cmd.Env = append(cmd.Env, parentVariable+"="+dir, "HOME="+dir)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &parent{cmd: cmd}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // usually gone by then
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	require.NoError(t, err, "the parent ended early")
	require.NoError(t, json.Unmarshal(line, &p.parentReport))
	return p
}

func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := ScratchDir("lakepulse-embedded-*")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func startPostgres(t *testing.T, cfg PostgresConfig) *Postgres {
	t.Helper()
	p, err := StartPostgres(t.Context(), cfg, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(context.Background())) })
	return p
}

func startNATS(t *testing.T, cfg NATSConfig) *NATS {
	t.Helper()
	n, err := StartNATS(cfg, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	return n
}

func execSQL(t *testing.T, dsn, statement string) {
	t.Helper()
	withConn(t, dsn, func(conn *pgx.Conn) error {
		_, err := conn.Exec(t.Context(), statement)
		return err
	})
}

func queryText(t *testing.T, dsn, query string) (text string) {
	t.Helper()
	withConn(t, dsn, func(conn *pgx.Conn) error { return conn.QueryRow(t.Context(), query).Scan(&text) })
	return text
}

func withConn(t *testing.T, dsn string, use func(*pgx.Conn) error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	err = use(conn)
	require.NoError(t, conn.Close(t.Context()))
	require.NoError(t, err)
}

func requirePrivate(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), path)
}

func eventually(t *testing.T, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, time.Minute, 10*time.Millisecond, what)
}

func copyFile(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	source, err := os.Open(from)
	require.NoError(t, err)
	defer closeQuietly(source)
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, mode)
	require.NoError(t, err)
	_, err = io.Copy(target, source)
	require.NoError(t, err)
	require.NoError(t, target.Close())
}
