package embedded

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// In a directory like /root root's PostgreSQL, which runs as somebody else, has its
// files elsewhere; an ordinary user's has them in place.
func TestDataDirClosedToOthers(t *testing.T) {
	t.Parallel()
	closed, homes := t.TempDir(), dataDir(t)
	require.NoError(t, os.Chmod(closed, 0o700))
	var log bytes.Buffer
	cfg := PostgresConfig{DataDir: filepath.Join(closed, "data"), Fast: true, homes: []string{filepath.Join(homes, "lib")}}
	logger := slog.New(slog.NewTextHandler(&log, nil))

	first, err := StartPostgres(t.Context(), cfg, logger)
	require.NoError(t, err)
	execSQL(t, first.DSN(), "CREATE TABLE kept AS SELECT 'kept' AS text")
	require.NoError(t, first.Close(t.Context()))

	elsewhere, err := filepath.Glob(filepath.Join(homes, "lib", "*", "postgres", "PG_VERSION"))
	require.NoError(t, err)
	if os.Geteuid() == 0 {
		require.Len(t, elsewhere, 1)
		require.Contains(t, log.String(), first.dir, "the place is told")
		target, err := os.Readlink(filepath.Join(cfg.DataDir, "postgres"))
		require.NoError(t, err)
		require.Equal(t, filepath.Dir(elsewhere[0]), target)
	} else {
		require.Empty(t, elsewhere)
		require.FileExists(t, filepath.Join(cfg.DataDir, "postgres", "PG_VERSION"))
	}

	second := startPostgres(t, cfg)
	require.Equal(t, first.dir, second.dir)
	require.Equal(t, "kept", queryText(t, second.DSN(), "SELECT text FROM kept"))
	requirePrivate(t, filepath.Join(cfg.DataDir, "postgres.password"))
}

func TestDataDirOpensItselfForPostgres(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	require.NoError(t, os.Chmod(dir, 0o700)) // by a umask, say; its parent is open
	p := startPostgres(t, PostgresConfig{DataDir: dir, Fast: true})
	require.Equal(t, filepath.Join(dir, "postgres"), p.dir)
	require.Equal(t, "1", queryText(t, p.DSN(), "SELECT '1'"))
}

func TestScratchDirIsOpenWhateverTMPDIR(t *testing.T) {
	closed := t.TempDir()
	require.NoError(t, os.Chmod(closed, 0o700))
	for name, tmp := range map[string]string{
		"closed":  closed,
		"missing": filepath.Join(closed, "missing"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", tmp)
			dir := dataDir(t)
			who, err := chooseAccount("")
			require.NoError(t, err)
			require.NoError(t, who.enter(t.Context(), dir))
			require.True(t, filepath.IsAbs(dir))
		})
	}
}
