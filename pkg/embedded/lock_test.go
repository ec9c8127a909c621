package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLockDataDir(t *testing.T) {
	t.Run("makes the directory", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "new", "data")
		release, err := LockDataDir(dir)
		require.NoError(t, err)
		release()
		require.DirExists(t, dir)
	})
	t.Run("refuses a second user and names the first", func(t *testing.T) {
		dir := t.TempDir()
		release, err := LockDataDir(dir)
		require.NoError(t, err)
		defer release()
		_, err = LockDataDir(dir)
		require.ErrorIs(t, err, ErrInUse)
		require.ErrorContains(t, err, dir)
		require.ErrorContains(t, err, fmt.Sprintf("pid %d", os.Getpid()))
	})
	t.Run("is free again after release", func(t *testing.T) {
		dir := t.TempDir()
		for range 2 {
			release, err := LockDataDir(dir)
			require.NoError(t, err)
			release()
		}
	})
	t.Run("a path that is a file is an error", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		_, err := LockDataDir(file)
		require.ErrorContains(t, err, "create data directory")
	})
}
