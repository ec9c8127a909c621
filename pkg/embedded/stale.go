package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Waiting for processes that are not our children means asking again and again.
const pollInterval = 20 * time.Millisecond

// clearStale deals with what a crashed parent left in the cluster's directory. The
// caller holds the cluster's lock, so nobody else uses it: a postmaster that still runs
// there is stopped, and a pid file that names a stranger (pids are reused, soonest in
// containers) is removed, because PostgreSQL would take the stranger for its postmaster.
func clearStale(ctx context.Context, clusterDir string, logger *slog.Logger) error {
	pidFile := filepath.Join(clusterDir, "postmaster.pid")
	content, err := os.ReadFile(pidFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the postmaster's pid file: %w", err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err == nil && !alive(pid) {
		return nil // PostgreSQL sees that itself, and looks after surviving backends
	}
	if err != nil || !isPostmasterOf(pid, clusterDir) {
		logger.Warn("removing a pid file that names no PostgreSQL of this directory", "path", pidFile)
		return removeIfPresent(pidFile)
	}
	logger.Warn("stopping a PostgreSQL that an earlier run left behind", "pid", pid)
	return stopStranger(ctx, pid, clusterDir)
}

// isPostmasterOf says whether pid is a PostgreSQL server on clusterDir: the postmaster
// runs in its cluster's directory, and is started with its path.
func isPostmasterOf(pid int, clusterDir string) bool {
	args := commandLine(pid)
	if len(args) == 0 || !strings.Contains(filepath.Base(args[0]), "postgres") {
		return false
	}
	if resolved, err := filepath.EvalSymlinks(clusterDir); err == nil && workingDirectory(pid) == resolved {
		return true
	}
	return slices.Contains(args, clusterDir) || strings.Contains(strings.Join(args, " "), "-D "+clusterDir+" ")
}

// stopStranger stops a postmaster that is not our child: fast, then immediately, then
// by force, each for as long as that may take.
func stopStranger(ctx context.Context, pid int, clusterDir string) error {
	steps := []struct {
		signal  syscall.Signal
		patient time.Duration
	}{{syscall.SIGINT, 30 * time.Second}, {syscall.SIGQUIT, 5 * time.Second}, {syscall.SIGKILL, 5 * time.Second}}
	for _, step := range steps {
		if err := syscall.Kill(pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop PostgreSQL with pid %d: %w", pid, err)
		}
		if gone, err := waitGone(ctx, pid, clusterDir, step.patient); err != nil || gone {
			return err
		}
	}
	return fmt.Errorf("PostgreSQL with pid %d on %s does not stop", pid, clusterDir)
}

func waitGone(ctx context.Context, pid int, clusterDir string, patient time.Duration) (bool, error) {
	deadline := time.NewTimer(patient)
	defer deadline.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for alive(pid) && isPostmasterOf(pid, clusterDir) {
		select {
		case <-tick.C:
		case <-deadline.C:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return true, nil
}
