package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeInstallation makes programs that know their version and nothing else.
func fakeInstallation(t *testing.T, binDir, version string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(binDir, 0o755))
	script := fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %s'\n", version)
	for _, name := range []string{"postgres", "initdb"} {
		require.NoError(t, os.WriteFile(filepath.Join(binDir, name), []byte(script), 0o755))
	}
}

func TestSearchInstallations(t *testing.T) {
	root := dataDir(t)
	t.Setenv("PATH", filepath.Join(root, "path", "bin")+":/usr/bin:/bin")
	for dir, version := range map[string]string{
		"a/9":    "9.6.24",
		"a/13":   "13.21",
		"a/14":   "14.18 (Debian 14.18-1)",
		"b/17":   "17.2",
		"b/17-5": "17.5 (Homebrew)",
		"b/18":   "18beta1",
		"c/odd":  "unknown",
		"path":   "16.1",
	} {
		fakeInstallation(t, filepath.Join(root, dir, "bin"), version)
	}
	fakeInstallation(t, filepath.Join(root, "d/half", "bin"), "17.9")
	require.NoError(t, os.Remove(filepath.Join(root, "d/half/bin/initdb")))
	require.NoError(t, os.Symlink(filepath.Join(root, "b/17"), filepath.Join(root, "b/link")))
	who, err := chooseAccount("")
	require.NoError(t, err)

	found := searchInstallations(t.Context(), who, []string{filepath.Join(root, "[a-d]/*/bin"), filepath.Join(root, "none/*")})

	var versions []string
	for _, inst := range found {
		versions = append(versions, fmt.Sprintf("%d.%d", inst.major, inst.minor))
	}
	require.Equal(t, []string{"18.0", "17.5", "17.2", "16.1", "14.18"}, versions, "newest first, each once, none older than 14")
}

func TestNoInstallation(t *testing.T) {
	t.Setenv("PATH", "/nowhere")
	nothing := PostgresConfig{
		DataDir: dataDir(t), CacheDir: dataDir(t), Repository: "http://127.0.0.1:1", Fast: true,
		installPatterns: []string{filepath.Join(dataDir(t), "*")},
	}

	t.Run("the error names both ways out", func(t *testing.T) {
		_, err := StartPostgres(t.Context(), nothing, quiet())
		require.ErrorIs(t, err, ErrNoPostgres)
		require.ErrorContains(t, err, "install PostgreSQL 14 or newer")
		require.ErrorContains(t, err, "set DATABASE_URL")
	})
	t.Run("the failed fetch leaves nothing in the cache", func(t *testing.T) {
		entries, err := os.ReadDir(nothing.CacheDir)
		require.NoError(t, err)
		require.Empty(t, entries)
	})
	t.Run("the directory is free for the next try", func(t *testing.T) {
		_, err := StartPostgres(t.Context(), nothing, quiet())
		require.NotErrorIs(t, err, ErrInUse)
	})
}

func TestClusterOfAnotherVersion(t *testing.T) {
	t.Parallel()
	cfg := PostgresConfig{DataDir: dataDir(t), CacheDir: dataDir(t), Repository: "http://127.0.0.1:1"}
	require.NoError(t, os.MkdirAll(filepath.Join(cfg.DataDir, "postgres"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(cfg.DataDir, "postgres", "PG_VERSION"), []byte("13\n"), 0o644))
	_, err := StartPostgres(t.Context(), cfg, quiet())
	require.ErrorIs(t, err, ErrNoPostgres)
	require.ErrorContains(t, err, "made by PostgreSQL 13")
	require.ErrorContains(t, err, "install PostgreSQL 13, or set DATABASE_URL")
}
