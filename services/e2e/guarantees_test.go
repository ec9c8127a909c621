package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGuaranteesNameTheirTests finds each test that docs/guarantees.md names: a
// promise whose test is gone would go on being believed.
func TestGuaranteesNameTheirTests(t *testing.T) {
	t.Parallel()
	const root = "../.."
	page, err := os.ReadFile(filepath.Join(root, "docs", "guarantees.md"))
	require.NoError(t, err)
	named := regexp.MustCompile("`((?:pkg|services|tools|cli|clients)/[a-z/]+): (Test\\w+)`").FindAllSubmatch(page, -1)
	require.Greater(t, len(named), 20)
	for _, n := range named {
		folder, name := string(n[1]), string(n[2])
		files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
		require.NoError(t, err)
		found := false
		for _, file := range files {
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			found = found || regexp.MustCompile(`(?m)^func `+name+`\(t \*testing\.T\)`).Match(source)
		}
		require.True(t, found, "%s has no %s", folder, name)
	}
	for _, n := range regexp.MustCompile("`(web/[^`]+\\.test\\.ts)`").FindAllSubmatch(page, -1) {
		require.FileExists(t, filepath.Join(root, string(n[1])))
	}
}
