package deploy

import (
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The Databricks CLI's own rules for a bundle, as far as they decide whether this
// one can be deployed. `make check-bundle` asks the CLI itself.

// requireResource fails unless the bundle declares a resource, in the file or by
// the variable that holds a kind of resources as a whole.
func requireResource(t *testing.T, bundle tree, kind, key string) {
	t.Helper()
	require.Contains(t, keysOf(t, bundle)[kind], key, "no resource %s.%s", kind, key)
}

// keysOf returns the keys of each kind of resource, with every choice a variable offers.
func keysOf(t *testing.T, bundle tree) map[string][]string {
	t.Helper()
	keys := map[string][]string{}
	for kind, resources := range at[tree](t, bundle, "resources") {
		if kind == "postgres_catalogs" {
			require.Equal(t, "${var.catalogs}", resources)
			resources = at[tree](t, bundle, "variables", "unity_catalog", "default")
		}
		keys[kind] = slices.Sorted(maps.Keys(resources.(tree)))
	}
	return keys
}

func TestResourceKeysAreUniqueAcrossKinds(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for kind, keys := range keysOf(t, parse(t, "databricks.yml")) {
		for _, key := range keys {
			require.Empty(t, seen[key], "%s and %s share the key %s: the CLI refuses the bundle", seen[key], kind, key)
			seen[key] = kind
		}
	}
}

// TestCLIVersion holds the oldest CLI the bundle asks for against what its fields need.
func TestCLIVersion(t *testing.T) {
	t.Parallel()
	// 1.4 to 1.6 know enable_pg_native_login and cannot store it in their state.
	asked := at[string](t, parse(t, "databricks.yml"), "bundle", "databricks_cli_version")
	match := regexp.MustCompile(`^>= (\d+)\.(\d+)\.(\d+)$`).FindStringSubmatch(asked)
	require.NotNil(t, match, asked)
	require.GreaterOrEqual(t, fmt.Sprintf("%03s.%03s", match[1], match[2]), "001.007")
}

func TestRootPathsBelongToTheDeployer(t *testing.T) {
	t.Parallel()
	bundle := parse(t, "databricks.yml")
	path := at[string](t, bundle, "targets", "prod", "workspace", "root_path")
	require.True(t, strings.HasPrefix(path, "/Workspace/Users/${var.deployer}/"), "%s: everybody can change what lies under /Workspace/Shared", path)
	require.Contains(t, path, "${bundle.target}", "two targets must not share a folder")
	require.Equal(t, "${workspace.current_user.userName}", at[string](t, bundle, "variables", "deployer", "default"))
	// Without a path the CLI takes the developer's home folder in mode development.
	_, set := at[tree](t, bundle, "targets", "dev")["workspace"]
	require.False(t, set)
}

// TestTargetsAreApart holds what would make two installations meet: names, scopes
// and schedules.
func TestTargetsAreApart(t *testing.T) {
	t.Parallel()
	bundle := parse(t, "databricks.yml")
	require.Contains(t, at[string](t, bundle, "targets", "dev", "variables", "app_name"), "${workspace.current_user.", "a copy per developer")
	require.Equal(t, "lakepulse", at[string](t, bundle, "variables", "app_name", "default"))
	for what, path := range map[string][]any{
		"the secret scope":     {"variables", "secret_scope", "default"},
		"the app":              {"resources", "apps", "app", "name"},
		"the Lakebase project": {"resources", "postgres_projects", "project", "project_id"},
	} {
		require.Equal(t, "${var.app_name}", at[string](t, bundle, path...), "%s is named after the target's app", what)
	}
	// The mode pauses schedules only where no status is set.
	require.Equal(t, "PAUSED", at[string](t, bundle, "targets", "dev", "resources", "jobs", "aggregation", "schedule", "pause_status"))
	require.Equal(t, "UNPAUSED", at[string](t, bundle, "resources", "jobs", "aggregation", "schedule", "pause_status"))
	require.True(t, at[bool](t, bundle, "targets", "dev", "resources", "postgres_projects", "project", "purge_on_delete"))
}

// TestProjectPermissionsKeepTheApp: permissions of the whole bundle are set on the
// project too, and would take away the app's own.
func TestProjectPermissionsKeepTheApp(t *testing.T) {
	t.Parallel()
	permissions := at[[]any](t, parse(t, "databricks.yml"), "targets", "prod", "resources", "postgres_projects", "project", "permissions")
	require.Equal(t, "${resources.apps.app.service_principal_client_id}", permissions[0].(tree)["service_principal_name"])
}

func TestVariablesDescribeThemselves(t *testing.T) {
	t.Parallel()
	bundle := parse(t, "databricks.yml")
	for name, variable := range at[tree](t, bundle, "variables") {
		description := at[string](t, variable, "description")
		require.NotContains(t, description, "${", "%s: the CLI resolves references in descriptions too", name)
	}
	_, set := at[tree](t, bundle, "variables", "job_principal")["default"]
	require.False(t, set, "prod without a principal is refused by name")
}

func TestNothingStaged(t *testing.T) {
	t.Parallel()
	require.FileExists(t, filepath.Join(root, "release", ".gitkeep"), "the CLI fails with a bare stat error where the folder is missing")
	build := at[string](t, parse(t, "databricks.yml"), "artifacts", "release", "build")
	elsewhere := t.TempDir()
	out, err := exec.Command("cp", "-r", ".", filepath.Join(elsewhere, "deploy")).CombinedOutput()
	require.NoError(t, err, string(out))
	cmd := exec.Command("sh", "-c", build)
	cmd.Dir = elsewhere
	out, err = cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "run make release first")
}
