package lakepulse

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const modulePath = "github.com/lakepulse/lakepulse/clients/go"

// TestAnAppKeepsItsOwnVersions adds the client to an app with older versions of pgx and
// nats.go: the only module that is new to the app is the client. LAKEPULSE_APP_GO
// names the Go release the app is built with, such as go1.23.12; default: the
// one that runs the test.
func TestAnAppKeepsItsOwnVersions(t *testing.T) {
	t.Parallel()
	app := t.TempDir()
	require.NoError(t, os.CopyFS(app, os.DirFS("testdata/consumer")))
	before := goCommand(t, app, "list", "-m", "all")
	require.Contains(t, before, "github.com/jackc/pgx/v5 v5.3.1")
	require.Contains(t, before, "github.com/nats-io/nats.go v1.30.2")
	require.Contains(t, goCommand(t, app, "run", "."), "not measured")

	here, err := filepath.Abs(".")
	require.NoError(t, err)
	goCommand(t, app, "mod", "edit", "-require="+modulePath+"@v0.0.0", "-replace="+modulePath+"="+here)
	after := goCommand(t, app, "list", "-m", "all")
	var added []string
	for _, line := range strings.Split(after, "\n") {
		if !strings.Contains(before, line) {
			added = append(added, line)
		}
	}
	require.Equal(t, []string{modulePath + " v0.0.0 => " + here}, added)
	require.Equal(t, strings.Count(before, "\n")+1, strings.Count(after, "\n"), "nothing else has changed")
	require.Contains(t, goCommand(t, app, "run", "-tags", "lakepulse", "."), "GET /orders/{order}")
}

// goCommand runs the go command outside of any workspace and returns what it prints.
func goCommand(t *testing.T, dir string, args ...string) string {
	t.Helper()
	var errors strings.Builder
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOTOOLCHAIN="+cmp.Or(os.Getenv("LAKEPULSE_APP_GO"), "local"))
	cmd.Stderr = &errors
	out, err := cmd.Output()
	require.NoError(t, err, "go %s: %s", strings.Join(args, " "), errors.String())
	return string(out)
}
