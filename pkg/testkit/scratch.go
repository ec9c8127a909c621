package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/embedded"
)

const (
	scratchPrefix = "lakepulse-test-"
	// abandonedAge is how long a directory of a dead process is left alone: its pid may
	// be alive where we cannot see it, in a container that shares the directory.
	abandonedAge = 2 * time.Hour
)

// DataDir makes an empty directory that lives as long as the test and that an embedded
// PostgreSQL can use in place; t.TempDir is closed to the user it runs as under root.
func DataDir(t testing.TB) string {
	t.Helper()
	dir, err := scratchDir()
	require.NoError(t, err)
	t.Cleanup(func() {
		// The Postgres of a killed process ends a moment after it, and writes until then.
		EventuallyOK(t, "its data directory to be removed", func() error { return os.RemoveAll(dir) })
	})
	return dir
}

// scratchDir makes a directory that names its process.
func scratchDir() (string, error) {
	return embedded.ScratchDir(fmt.Sprintf("%s%d-*", scratchPrefix, os.Getpid()))
}

// removeAbandoned removes what killed test processes have left in base; they could not
// do it. Whatever cannot be removed, or belongs to somebody else, stays.
func removeAbandoned(base string) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if isAbandoned(entry) {
			_ = os.RemoveAll(filepath.Join(base, entry.Name()))
		}
	}
}

func isAbandoned(entry os.DirEntry) bool {
	name, found := strings.CutPrefix(entry.Name(), scratchPrefix)
	pidText, _, _ := strings.Cut(name, "-")
	pid, err := strconv.Atoi(pidText)
	if !found || err != nil || syscall.Kill(pid, 0) == nil {
		return false
	}
	info, err := entry.Info()
	return err == nil && info.IsDir() && time.Since(info.ModTime()) > abandonedAge
}
