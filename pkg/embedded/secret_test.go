package embedded

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeptPassword(t *testing.T) {
	t.Run("is made once, private, and long", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "password")
		first, err := keptPassword(path)
		require.NoError(t, err)
		require.Len(t, first, 32)
		requirePrivate(t, path)
		second, err := keptPassword(path)
		require.NoError(t, err)
		require.Equal(t, first, second)
	})
	t.Run("an empty file counts as none", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "password")
		require.NoError(t, os.WriteFile(path, []byte("\n"), 0o600))
		password, err := keptPassword(path)
		require.NoError(t, err)
		require.NotEmpty(t, password)
	})
	t.Run("a file that cannot be read is an error", func(t *testing.T) {
		_, err := keptPassword(t.TempDir())
		require.ErrorContains(t, err, "read password")
	})
}

func TestWritePrivate(t *testing.T) {
	t.Run("replaces an open file by a private one", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "url")
		require.NoError(t, os.WriteFile(path, []byte("old"), 0o644))
		require.NoError(t, writePrivate(path, "new"))
		requirePrivate(t, path)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "new", string(content))
	})
	t.Run("leaves nothing behind when it fails", func(t *testing.T) {
		dir := t.TempDir()
		target := filepath.Join(dir, "occupied")
		require.NoError(t, os.MkdirAll(filepath.Join(target, "by a directory"), 0o700))
		require.Error(t, writePrivate(target, "x"))
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1)
	})
}
