package embedded

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPostgresFollowsKilledParent(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	p := startParent(t, dir)
	require.NoError(t, p.cmd.Process.Kill())
	require.Error(t, p.cmd.Wait())
	eventually(t, gone(p.Postmaster), "the postmaster ends by itself")
	require.NoFileExists(t, filepath.Join(dir, "postgres", "postmaster.pid"), "cleanly")
}

// The death signal follows the thread that forked, which here is one that ends.
func TestPostgresOutlivesTheThreadOfItsStart(t *testing.T) {
	t.Parallel()
	cfg := PostgresConfig{DataDir: dataDir(t), Fast: true}
	var p *Postgres
	var err error
	thread := onEndingThread(func() { p, err = StartPostgres(t.Context(), cfg, quiet()) })
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(context.Background())) })
	eventually(t, func() bool {
		_, err := os.Stat("/proc/self/task/" + strconv.Itoa(thread))
		return errors.Is(err, os.ErrNotExist)
	}, "the thread ends")
	// A shutdown would cut this statement off.
	require.Equal(t, "whole", queryText(t, p.DSN(), "SELECT 'whole' FROM pg_sleep(0.2)"))
	require.False(t, p.run.process.exited())
}

// onEndingThread runs f on a thread that ends right after, and returns its id.
func onEndingThread(f func()) (thread int) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		thread = syscall.Gettid()
		if thread == os.Getpid() {
			thread = onEndingThread(f) // the main thread never ends; this goroutine keeps it busy
			return
		}
		f()
	}()
	<-done
	return thread
}
