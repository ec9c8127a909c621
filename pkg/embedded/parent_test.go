package embedded

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// gone says that no PostgreSQL process has this pid any more: one that waits to be
// reaped counts as gone.
func gone(pid int) func() bool {
	return func() bool { return !alive(pid) || len(commandLine(pid)) == 0 }
}

func TestParentEnds(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run("on "+sig.String()+" PostgreSQL stops first", func(t *testing.T) {
			dir := dataDir(t)
			p := startParent(t, dir)
			require.NoError(t, p.cmd.Process.Signal(sig))
			require.NoError(t, p.cmd.Wait())
			require.True(t, gone(p.Postmaster)())
			require.NoFileExists(t, filepath.Join(dir, "postgres", "postmaster.pid"))
		})
	}
	t.Run("killed, its data directory opens at once with what was committed", func(t *testing.T) {
		dir := dataDir(t)
		p := startParent(t, dir)
		execSQL(t, p.DSN, "CREATE TABLE kept AS SELECT 'kept' AS text")
		require.NoError(t, p.cmd.Process.Kill())
		require.Error(t, p.cmd.Wait())

		release, err := LockDataDir(dir)
		require.NoError(t, err)
		t.Cleanup(release)
		next := startPostgres(t, PostgresConfig{DataDir: dir, Fast: true})
		require.Equal(t, "kept", queryText(t, next.DSN(), "SELECT text FROM kept"))
		require.True(t, gone(p.Postmaster)())
	})
	t.Run("a second parent is refused and names the first", func(t *testing.T) {
		dir := dataDir(t)
		p := startParent(t, dir)
		_, err := LockDataDir(dir)
		require.ErrorIs(t, err, ErrInUse)
		require.ErrorContains(t, err, "pid "+strconv.Itoa(p.cmd.Process.Pid))
		_, err = StartPostgres(t.Context(), PostgresConfig{DataDir: dir, Fast: true}, quiet())
		require.ErrorIs(t, err, ErrInUse)
		require.Equal(t, "1", queryText(t, p.DSN, "SELECT '1'"), "the first goes on")
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, p.cmd.Wait())
	})
}

// The same as an ordinary user: when the tests run as root, a copy of this binary runs
// as the user that root drops PostgreSQL to.
func TestOrdinaryUserIsParent(t *testing.T) {
	t.Parallel()
	home := dataDir(t)
	who, err := chooseAccount("")
	require.NoError(t, err)
	require.NoError(t, who.own(home))
	self, err := os.Executable()
	require.NoError(t, err)
	binary := filepath.Join(home, "parent")
	copyFile(t, self, binary, 0o755)

	dir := filepath.Join(home, "data")
	p := startParentAs(t, who, binary, dir)
	execSQL(t, p.DSN, "CREATE TABLE kept AS SELECT 'kept' AS text")
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "private to the user")
	require.NoError(t, p.cmd.Process.Kill())
	require.Error(t, p.cmd.Wait())

	again := startParentAs(t, who, binary, dir)
	require.Equal(t, "kept", queryText(t, again.DSN, "SELECT text FROM kept"))
	require.NoError(t, again.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, again.cmd.Wait())
	require.True(t, gone(again.Postmaster)())

	t.Run("and its directory opens as root too", func(t *testing.T) {
		p := startPostgres(t, PostgresConfig{DataDir: dir, Fast: true})
		require.Equal(t, "kept", queryText(t, p.DSN(), "SELECT text FROM kept"))
	})
}

func TestLeftovers(t *testing.T) {
	t.Parallel()
	cfg := PostgresConfig{DataDir: dataDir(t), Fast: true}
	p := startPostgres(t, cfg)
	execSQL(t, p.DSN(), "CREATE TABLE kept AS SELECT 'kept' AS text")
	require.NoError(t, p.Close(t.Context()))
	requireStarts := func(t *testing.T) {
		t.Helper()
		next := startPostgres(t, cfg)
		require.Equal(t, "kept", queryText(t, next.DSN(), "SELECT text FROM kept"))
		require.NoError(t, next.Close(t.Context()))
	}

	t.Run("a postmaster that outlived its parent is stopped", func(t *testing.T) {
		orphan := startOrphan(t, p)
		requireStarts(t)
		require.Error(t, orphan.Process.Signal(syscall.Signal(0)), "reaped, so it had ended")
	})
	t.Run("a pid file of a process that is gone is ignored", func(t *testing.T) {
		ended := exec.Command("/bin/sh", "-c", ":")
		require.NoError(t, ended.Run())
		leavePidFile(t, p, ended.Process.Pid)
		requireStarts(t)
	})
	t.Run("a pid file of a stranger does no harm to either", func(t *testing.T) {
		leavePidFile(t, p, 1)
		requireStarts(t)
	})
	t.Run("a pid file of garbage is removed", func(t *testing.T) {
		require.NoError(t, os.WriteFile(filepath.Join(p.dir, "postmaster.pid"), []byte("?"), 0o600))
		requireStarts(t)
	})
	t.Run("an unfinished cluster is made anew", func(t *testing.T) {
		dir := dataDir(t)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "postgres.init", "base"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "postgres.init", "PG_VERSION"), []byte("15\n"), 0o600))
		fresh := startPostgres(t, PostgresConfig{DataDir: dir, Fast: true})
		require.Equal(t, "1", queryText(t, fresh.DSN(), "SELECT '1'"))
		require.NoDirExists(t, filepath.Join(dir, "postgres.init"))
	})
}

// startOrphan runs a postmaster on p's cluster that no death signal follows, as after a
// crash of its parent on systems without one.
func startOrphan(t *testing.T, p *Postgres) *exec.Cmd {
	t.Helper()
	orphan := p.who.command(t.Context(), p.dir, p.install.program("postgres"), arguments(p.dir, p.cfg.settings(p.port))...)
	log, err := orphan.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, orphan.Start())
	reaped := make(chan struct{})
	follow := newPostgresLog(quiet())
	go func() {
		defer close(reaped)
		follow.follow(log)
		_ = orphan.Wait() // how it ended is up to who stops it
	}()
	t.Cleanup(func() { _ = orphan.Process.Kill(); <-reaped })
	<-follow.ready
	return orphan
}

// leavePidFile writes the pid file of a crashed postmaster with the given pid.
func leavePidFile(t *testing.T, p *Postgres, pid int) {
	t.Helper()
	content := strconv.Itoa(pid) + "\n" + p.dir + "\n0\n" + strconv.Itoa(p.port) + "\n\n127.0.0.1\n"
	path := filepath.Join(p.dir, "postmaster.pid")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	require.NoError(t, p.who.own(path))
}
