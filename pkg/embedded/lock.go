package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ErrInUse is what LockDataDir, StartNATS and StartPostgres wrap when another
// process, or another server of this process, holds the directory.
var ErrInUse = errors.New("data directory is in use")

// LockDataDir makes this process the one user of dir, which it creates if missing.
// The lock ends with release or with the process, however that dies. When somebody
// else holds it the error wraps ErrInUse and names the holder's pid.
func LockDataDir(dir string) (release func(), err error) {
	if err := makeDataDir(dir); err != nil {
		return nil, err
	}
	return lockFile(filepath.Join(dir, "lock"))
}

// lockFile takes an exclusive flock on path. The file is never removed: a second
// process could otherwise lock a name that the first no longer has.
func lockFile(path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer closeQuietly(f)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s is held by %s", ErrInUse, filepath.Dir(path), lockHolder(path))
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := recordHolder(f); err != nil {
		closeQuietly(f)
		return nil, fmt.Errorf("write lock file %s: %w", path, err)
	}
	return func() { closeQuietly(f) }, nil
}

func recordHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// lockHolder describes who holds the lock; the pid may be missing for the instant
// between the holder's flock and its writing of the pid.
func lockHolder(path string) string {
	content, err := os.ReadFile(path)
	pid := strings.TrimSpace(string(content))
	if err != nil || pid == "" {
		return "another process"
	}
	return "the process with pid " + pid
}

// closeQuietly is for descriptors whose close can lose nothing: read-only files,
// locks, and files already given up on.
func closeQuietly(f *os.File) { _ = f.Close() }

// makeDataDir creates the data directory. It is private for an ordinary user; a
// server that root drops to another account has to pass through it, and what is
// secret in it has mode 0600 by itself.
func makeDataDir(dir string) error {
	mode := os.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	return nil
}
