package deploy

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/pkg/testkit/workspacetest"
)

// fakeSDK stands in for databricks-sdk, with the credentials of a job: a token of
// the workspace, which an app would not take.
const fakeSDK = `
import base64, json, os, types, urllib.request

class WorkspaceClient:
    def __init__(self, **_):
        self.config = types.SimpleNamespace(
            host=os.environ["DATABRICKS_HOST"], auth_type="runtime", authenticate=self._authenticate)

    def _authenticate(self):
        client = os.environ["DATABRICKS_CLIENT_ID"] + ":" + os.environ["DATABRICKS_CLIENT_SECRET"]
        request = urllib.request.Request(
            self.config.host + "/oidc/v1/token", data=b"grant_type=client_credentials",
            headers={"Authorization": "Basic " + base64.b64encode(client.encode()).decode()})
        with urllib.request.urlopen(request) as answer:
            return {"Authorization": "Bearer " + json.load(answer)["access_token"]}
`

// trigger is the job's script, running.
type trigger struct {
	lines chan string // what it says, closed at its end
	ended chan error
}

func (p platform) trigger(t *testing.T, url string, more ...string) *trigger {
	t.Helper()
	modules := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(modules, "databricks", "sdk"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(modules, "databricks", "sdk", "__init__.py"), []byte(fakeSDK), 0o600))
	args := []string{"-u", "-B", "job/trigger_aggregation.py", "--app", "lakepulse", "--url", url, "--audience", "app-client-id", "--poll", "0.5"}
	cmd := exec.Command("python3", append(args, more...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PYTHONPATH=" + modules, "DATABRICKS_HOST=" + p.workspace.URL(),
		"DATABRICKS_CLIENT_ID=" + workspacetest.ClientID, "DATABRICKS_CLIENT_SECRET=" + workspacetest.ClientSecret}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = cmd.Stdout
	require.NoError(t, cmd.Start())
	run := &trigger{lines: make(chan string, 1000), ended: make(chan error, 1)}
	go func() {
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			run.lines <- scanner.Text()
		}
		close(run.lines)
		run.ended <- cmd.Wait()
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // an error says it has ended
	return run
}

// says waits until the script says something that has text in it.
func (run *trigger) says(t *testing.T, text string) {
	t.Helper()
	for line := range run.lines {
		t.Log(line)
		if strings.Contains(line, text) {
			return
		}
	}
	require.Fail(t, "the trigger never said "+text)
}

// exit waits for the script's end and returns its exit code.
func (run *trigger) exit(t *testing.T) int {
	t.Helper()
	for line := range run.lines {
		t.Log(line)
	}
	err := testkit.Receive(t, "the trigger's end", run.ended)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	require.NoError(t, err)
	return 0
}

func TestTriggerScript(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("python3", "-B", "-m", "unittest", "-q")
	cmd.Dir = "job"
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

func triggerSucceeds(t *testing.T, dir string) {
	p := setupPlatform(t, time.Hour)
	p.start(t, dir)
	p.awaitReady(t)
	require.Zero(t, p.trigger(t, p.url).exit(t))
	require.Positive(t, p.workspace.Calls(workspacetest.PathMe), "the app asked who the exchanged token belongs to")
}

func triggerWaitsForAColdStart(t *testing.T, dir string) {
	p := setupPlatform(t, time.Hour)
	p.gateway.Suspend()
	run := p.trigger(t, p.url)
	run.says(t, "again in") // nobody listens yet
	p.start(t, dir)
	run.says(t, "503") // the app is there, its database is not
	p.gateway.Wake()
	require.Zero(t, run.exit(t))
}

func triggerSurvivesALostConnection(t *testing.T, dir string) {
	p := setupPlatform(t, time.Hour)
	p.start(t, dir)
	p.awaitReady(t)
	network, url := testkit.ProxyURL(t, p.url)
	run := p.trigger(t, url)
	run.says(t, " is waiting")
	network.Cut()
	run.says(t, "again in")
	network.Heal()
	require.Zero(t, run.exit(t))
}

func triggerFailsWithTheRun(t *testing.T, dir string) {
	p := setupPlatform(t, time.Hour)
	p.start(t, dir)
	p.awaitReady(t)
	conn, err := pgx.Connect(t.Context(), p.database)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	_, err = conn.Exec(t.Context(), "DROP TABLE metrics.aggregate_hours CASCADE")
	require.NoError(t, err)
	require.Equal(t, 2, p.trigger(t, p.url).exit(t))
}

func triggerFailsWithoutTheApp(t *testing.T, _ string) {
	p := setupPlatform(t, time.Hour)
	require.Equal(t, 1, p.trigger(t, p.url, "--timeout", "4").exit(t))
}
