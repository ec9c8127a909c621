package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestModuleVersion(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	t.Run("is the one that is in the program", func(t *testing.T) {
		version, err := moduleVersion(self, "github.com/jackc/pgx/v5")
		require.NoError(t, err)
		require.Regexp(t, `^v5\.`, version)
	})
	t.Run("of a module that is not in it is an error", func(t *testing.T) {
		_, err := moduleVersion(self, "example.com/none")
		require.ErrorContains(t, err, "does not hold example.com/none")
	})
}

func TestFirstLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "info")
	require.NoError(t, os.WriteFile(file, []byte("MemFree: 1 kB\nmodel name\t: Some CPU: 2 GHz\n"), 0o600))
	text, found := firstLine(file, "model name")
	require.True(t, found)
	require.Equal(t, "Some CPU: 2 GHz", text)
	_, found = firstLine(file, "model")
	require.False(t, found)
	_, found = firstLine(file+"none", "model name")
	require.False(t, found)
}

func TestRoomFor(t *testing.T) {
	b := &bench{dir: t.TempDir()}
	require.NoError(t, b.roomFor(1))
	require.ErrorContains(t, b.roomFor(1<<60), "this needs")
}
