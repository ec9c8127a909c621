package embedded

import (
	"path/filepath"
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
