package rules

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// readCases returns the cases of a file in clients/spec. A member that the type does
// not have fails the test: the case would be half run.
func readCases[T any](t *testing.T, file string) []T {
	t.Helper()
	f, err := os.Open("../../spec/" + file)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	var in struct {
		About string
		Cases []T
	}
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&in), file)
	require.NotEmpty(t, in.Cases, file)
	return in.Cases
}

func TestSpecPaths(t *testing.T) {
	t.Parallel()
	for _, c := range readCases[struct{ Path, Endpoint string }](t, "paths.json") {
		require.Equal(t, c.Endpoint, ReducePath(c.Path), "%q", c.Path)
		require.Equal(t, c.Endpoint, ReducePath(c.Endpoint), "a reduced path stays as it is: %q", c.Path)
	}
	for _, c := range readCases[[2]string](t, "paths-generated.json") {
		require.Equal(t, c[1], ReducePath(c[0]), "%q", c[0])
	}
}

func TestSpecExclusions(t *testing.T) {
	t.Parallel()
	for _, c := range readCases[struct {
		Exclude  Exclusions
		Path     string
		Excluded bool
	}](t, "exclusions.json") {
		require.Equal(t, c.Excluded, c.Exclude.Match(c.Path), "%q of %q", c.Path, c.Exclude)
		if len(c.Exclude) == 0 {
			require.Equal(t, c.Excluded, Excluded(c.Path), "%q", c.Path)
		}
	}
}

func TestSpecMethods(t *testing.T) {
	t.Parallel()
	for _, c := range readCases[struct{ Method, Recorded string }](t, "methods.json") {
		require.Equal(t, c.Recorded, Method(c.Method), "%q", c.Method)
	}
}
