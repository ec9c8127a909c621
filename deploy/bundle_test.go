package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// root is the repository, seen from here.
const root = ".."

type tree = map[string]any

func parse(t *testing.T, path string) tree {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	var parsed tree
	require.NoError(t, yaml.Unmarshal(data, &parsed))
	return parsed
}

// at follows keys and indexes into parsed YAML and fails where there is nothing.
func at[T any](t *testing.T, node any, path ...any) T {
	t.Helper()
	for i, step := range path {
		switch key := step.(type) {
		case string:
			m, ok := node.(tree)
			require.True(t, ok && m[key] != nil, "nothing at %v", path[:i+1])
			node = m[key]
		case int:
			list, ok := node.([]any)
			require.True(t, ok && key < len(list), "nothing at %v", path[:i+1])
			node = list[key]
		}
	}
	value, ok := node.(T)
	require.True(t, ok, "%v is a %T", path, node)
	return value
}

// choice returns the app's resources or environment ("resources" or "env") as one
// choice of the event log has them.
func choice(t *testing.T, log, part string) []any {
	t.Helper()
	return at[[]any](t, parse(t, "databricks.yml"), "variables", log, "default", part)
}

// choices are the variables that databricks.yml offers for event_log.
var choices = []string{"embedded_log", "nats_outside", "nats_account"}

func app(t *testing.T, path ...any) []any {
	t.Helper()
	return at[[]any](t, parse(t, "databricks.yml"), append([]any{"resources", "apps", "app"}, path...)...)
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	job := at[tree](t, parse(t, "databricks.yml"), "resources", "jobs", "aggregation")
	require.Equal(t, "UTC", at[string](t, job, "schedule", "timezone_id"))
	require.Equal(t, "UNPAUSED", at[string](t, job, "schedule", "pause_status"))
	// Quartz: seconds, minutes, hours, day of month, month, day of week.
	fields := strings.Fields(at[string](t, job, "schedule", "quartz_cron_expression"))
	require.Equal(t, []string{"0", "0", "2", "*", "*", "?"}, fields, "daily at 02:00; one of the two days is '?'")
	require.True(t, at[bool](t, job, "queue", "enabled"), "a run that meets another must not be skipped")
	require.Equal(t, 1, at[int](t, job, "max_concurrent_runs"))
	require.NotEmpty(t, at[[]any](t, job, "email_notifications", "on_failure"))
	require.Less(t, at[int](t, job, "tasks", 0, "timeout_seconds"), at[int](t, job, "timeout_seconds"))
	require.Positive(t, at[int](t, job, "tasks", 0, "max_retries"))
	key := at[string](t, job, "tasks", 0, "environment_key")
	require.Equal(t, key, at[string](t, job, "environments", 0, "environment_key"))
}

func TestPaths(t *testing.T) {
	t.Parallel()
	bundle := parse(t, "databricks.yml")
	script := at[string](t, bundle, "resources", "jobs", "aggregation", "tasks", 0, "spark_python_task", "python_file")
	require.FileExists(t, filepath.Join(root, script))
	var synced []string
	for _, path := range at[[]any](t, bundle, "sync", "paths") {
		synced = append(synced, path.(string))
	}
	source := at[string](t, bundle, "resources", "apps", "app", "source_code_path")
	require.Contains(t, synced, source)
	require.Contains(t, synced, "./"+filepath.Dir(filepath.Clean(script)))
	release, err := os.ReadFile("release.sh")
	require.NoError(t, err)
	require.Contains(t, string(release), "out=${RELEASE_DIR:-"+filepath.Base(source)+"}", "the app is deployed from what is staged")
	ignored, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	require.NoError(t, err)
	if strings.Contains(string(ignored), "/"+filepath.Base(source)+"/*") {
		require.Contains(t, at[[]any](t, bundle, "sync", "include"), filepath.Base(source)+"/**", "what git ignores is not uploaded unless named")
	}
}

var reference = regexp.MustCompile(`\$\{([^}]+)\}`)

// outputs are fields that a deployed resource has besides what is declared.
var outputs = []string{"id", "name", "url", "oauth2_app_client_id", "service_principal_client_id"}

func TestReferences(t *testing.T) {
	t.Parallel()
	bundle := parse(t, "databricks.yml")
	text, err := yaml.Marshal(bundle)
	require.NoError(t, err)
	used := make(map[string]bool)
	for _, match := range reference.FindAllStringSubmatch(string(text), -1) {
		steps := strings.Split(match[1], ".")
		switch steps[0] {
		case "var":
			at[tree](t, bundle, "variables", steps[1])
			if len(steps) > 2 {
				for _, log := range choices {
					choice(t, log, steps[2])
				}
			}
			used[steps[1]] = true
		case "resources":
			require.Len(t, steps, 4, match[0])
			requireResource(t, bundle, steps[1], steps[2])
			require.Contains(t, outputs, steps[3], match[0])
		case "bundle":
			require.Contains(t, []string{"name", "target"}, steps[1])
		case "workspace":
			require.Contains(t, []string{"userName", "domain_friendly_name"}, steps[2])
		default:
			require.Fail(t, "nothing is named "+match[0])
		}
	}
	offered := append([]string{"unity_catalog", "service_principal"}, choices...) // chosen in a target or by --var
	for name := range at[tree](t, bundle, "variables") {
		require.True(t, used[name] || slices.Contains(offered, name), "variable %s is declared and never used", name)
	}
	for name, target := range at[tree](t, bundle, "targets") {
		variables, _ := target.(tree)["variables"].(tree)
		for variable := range variables {
			require.True(t, used[variable], "target %s sets %s, which nothing uses", name, variable)
		}
	}
	require.Equal(t, "development", at[string](t, bundle, "targets", "dev", "mode"))
	require.Equal(t, "production", at[string](t, bundle, "targets", "prod", "mode"))
}

// variable is one entry of the app's environment: a value, or a resource's name.
type variable struct{ value, from string }

func environment(t *testing.T, entries []any, fromKey string) map[string]variable {
	t.Helper()
	env := make(map[string]variable)
	for _, entry := range entries {
		var v variable
		v.value, _ = entry.(tree)["value"].(string)
		v.from, _ = entry.(tree)[fromKey].(string)
		name := at[string](t, entry, "name")
		require.True(t, (v.value == "") != (v.from == ""), "%s has a value or takes one", name)
		env[name] = v
	}
	return env
}

func TestAppEnvironment(t *testing.T) {
	t.Parallel()
	standing := parse(t, "app.yaml")
	inFile := environment(t, at[[]any](t, standing, "env"), "valueFrom")
	require.Equal(t, app(t, "config", "command"), at[[]any](t, standing, "command"))
	for _, log := range choices {
		t.Run(log, func(t *testing.T) {
			inBundle := environment(t, choice(t, log, "env"), "value_from")
			for name, v := range inFile {
				require.Equal(t, inBundle[name], v, "%s differs between app.yaml and databricks.yml", name)
			}
			var resources []string
			for _, resource := range choice(t, log, "resources") {
				resources = append(resources, at[string](t, resource, "name"))
			}
			for name, v := range inBundle {
				if v.from != "" {
					require.Contains(t, resources, v.from, "%s takes its value from nothing", name)
				}
			}
			require.Equal(t, "postgres", inBundle["LAKEBASE_ENDPOINT"].from)
			if log == "embedded_log" {
				require.NotContains(t, inBundle, "NATS_URL", "the log is inside where no address is given")
				require.Equal(t, []string{"postgres"}, resources, "nothing has to be made before the first deployment")
				return
			}
			require.Equal(t, "nats-url", inBundle["NATS_URL"].from, "it may have a password in it")
			require.NotContains(t, inBundle, "LAKEPULSE_CONFIRM", "202 means durable in the log")
		})
	}
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	bundle := parse(t, "databricks.yml")
	job := at[tree](t, bundle, "resources", "jobs", "aggregation")
	principal := at[string](t, bundle, "targets", "prod", "resources", "jobs", "aggregation", "run_as", "service_principal_name")
	require.Equal(t, principal, at[string](t, bundle, "variables", "service_principals", "default"), "the app lets the job trigger runs")
	for _, log := range choices {
		env := environment(t, choice(t, log, "env"), "value_from")
		require.Equal(t, "${var.service_principals}", env["LAKEPULSE_SERVICE_PRINCIPALS"].value)
	}
	// The CLI turns CAN_VIEW of the whole bundle into CAN_READ of its folder and CAN_USE of the app.
	require.True(t, slices.ContainsFunc(at[[]any](t, bundle, "targets", "prod", "permissions"), func(p any) bool {
		permission, ok := p.(tree)
		return ok && permission["service_principal_name"] == principal && permission["level"] == "CAN_VIEW"
	}), "the job reads its script and passes the app's front door")
	for _, permission := range at[[]any](t, job, "permissions") {
		require.NotEqual(t, "admins", permission.(tree)["group_name"], "what admins may do with jobs cannot be changed")
		require.Equal(t, "CAN_VIEW", permission.(tree)["level"])
	}
	require.True(t, at[bool](t, bundle, "targets", "prod", "resources", "postgres_projects", "project", "lifecycle", "prevent_destroy"))
	require.False(t, at[bool](t, bundle, "resources", "postgres_projects", "project", "enable_pg_native_login"))
}

func TestJobParameters(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("job/trigger_aggregation.py")
	require.NoError(t, err)
	parameters := at[[]any](t, parse(t, "databricks.yml"), "resources", "jobs", "aggregation", "tasks", 0, "spark_python_task", "parameters")
	for _, parameter := range parameters {
		if name := fmt.Sprint(parameter); strings.HasPrefix(name, "--") {
			require.Contains(t, string(script), `add_argument("`+name+`"`)
		}
	}
	timeout := at[int](t, parse(t, "databricks.yml"), "resources", "jobs", "aggregation", "tasks", 0, "timeout_seconds")
	patience := regexp.MustCompile(`"--timeout", type=float, default=(\d+)`).FindSubmatch(script)
	require.Len(t, patience, 2)
	seconds, err := strconv.Atoi(string(patience[1]))
	require.NoError(t, err)
	require.Less(t, seconds, timeout, "the script ends, and says why, before it is ended")
}
