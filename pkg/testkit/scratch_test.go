package testkit

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRemoveAbandoned(t *testing.T) {
	ended := exec.Command("/bin/sh", "-c", ":")
	require.NoError(t, ended.Run())
	dead, own := strconv.Itoa(ended.Process.Pid), strconv.Itoa(os.Getpid())
	base := t.TempDir()
	make := func(name string, age time.Duration) string {
		dir := filepath.Join(base, name)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "postgres"), 0o700))
		require.NoError(t, os.Chtimes(dir, time.Time{}, time.Now().Add(-age)))
		return dir
	}
	abandoned := make(scratchPrefix+dead+"-1", 2*abandonedAge)
	kept := []string{
		make(scratchPrefix+dead+"-2", 0),             // may be seen wrongly
		make(scratchPrefix+own+"-3", 2*abandonedAge), // a long test
		make(scratchPrefix+"else", 2*abandonedAge),
		make("else-"+dead+"-4", 2*abandonedAge),
	}

	removeAbandoned(base)
	removeAbandoned(filepath.Join(base, "missing"))

	require.NoDirExists(t, abandoned)
	for _, dir := range kept {
		require.DirExists(t, dir)
	}
}
