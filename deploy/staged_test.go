package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/pkg/testkit/workspacetest"
)

const (
	adminToken = "the-token-of-ada"
	// stopPatience is what Databricks Apps give between SIGTERM and SIGKILL.
	stopPatience = 15 * time.Second
)

// stage builds the binary and stages it as a release is.
func stage(t *testing.T) (dir string) {
	t.Helper()
	binary, dir := filepath.Join(t.TempDir(), "lakepulse"), t.TempDir()
	build := exec.Command("go", "build", "-trimpath", "-o", binary, ".")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.Command("./stage.sh", binary, dir).CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.Command("go", "run", "./sbom", "-binary", binary, "-version", "v0", "-out", dir).CombinedOutput()
	require.NoError(t, err, string(out))
	return dir
}

func TestStagedApp(t *testing.T) {
	t.Parallel()
	dir := stage(t)
	tests := map[string]func(*testing.T, string){
		"every file can be uploaded":                        everyFileCanBeUploaded,
		"the bill of materials names what is linked":        billOfMaterialsIsTrue,
		"requests are served through every token's end":     servesThroughEveryToken,
		"it starts before its database":                     startsBeforeItsDatabase,
		"it speaks HTTP/2 in the clear":                     speaksHTTP2InTheClear,
		"the job's trigger starts a run and sees it done":   triggerSucceeds,
		"the job's trigger waits for an app that starts":    triggerWaitsForAColdStart,
		"the job's trigger survives a lost connection":      triggerSurvivesALostConnection,
		"the job's trigger fails when the run fails":        triggerFailsWithTheRun,
		"the job's trigger fails when nobody is there":      triggerFailsWithoutTheApp,
		"a release whose parts were damaged does not start": damagedReleaseIsRefused,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, dir)
		})
	}
}

// platform is what Databricks Apps put around an app: a workspace, a Lakebase
// behind a login that takes unexpired tokens only, and our own NATS.
type platform struct {
	workspace *workspacetest.Workspace
	gateway   *workspacetest.Gateway
	database  string // the Postgres behind the gateway, as its owner
	env       map[string]string
	url       string
}

func setupPlatform(t *testing.T, tokenLife time.Duration) platform {
	t.Helper()
	workspace := workspacetest.Start(t, tokenLife)
	workspace.AddUser(adminToken, workspacetest.User{Name: "ada@example.com", Groups: []string{"users", "admins"}})
	database := testkit.EmptyDatabase(t)
	gateway := workspacetest.StartGateway(t, workspace, database)
	port := fmt.Sprint(testkit.FreePort(t))
	env := workspace.Env()
	maps.Copy(env, gateway.Env())
	maps.Copy(env, map[string]string{
		"DATABRICKS_APP_PORT":          port,
		"NATS_URL":                     testkit.NATS(t).URL(),
		"LAKEPULSE_LOG_FORMAT":         "json",
		"LAKEPULSE_SERVICE_PRINCIPALS": workspacetest.ClientID,
		"LAKEPULSE_OPS_LISTEN":         "none", // several run at once here
		"LAKEPULSE_PG_CONN_LIFETIME":   "500ms",
		"PATH":                         os.Getenv("PATH"),
		"TMPDIR":                       t.TempDir(),
	})
	return platform{workspace: workspace, gateway: gateway, database: database, env: env, url: "http://127.0.0.1:" + port}
}

// process is the app, started as app.yaml says.
type process struct {
	cmd    *exec.Cmd
	output *bytes.Buffer
	ended  chan error
}

func (p platform) start(t *testing.T, dir string) *process {
	t.Helper()
	var command []string
	for _, word := range at[[]any](t, parse(t, "app.yaml"), "command") {
		command = append(command, word.(string))
	}
	proc := &process{cmd: exec.Command(command[0], command[1:]...), output: new(bytes.Buffer), ended: make(chan error, 1)}
	proc.cmd.Dir = dir
	for name, value := range p.env {
		proc.cmd.Env = append(proc.cmd.Env, name+"="+value)
	}
	proc.cmd.Stdout, proc.cmd.Stderr = proc.output, proc.output
	require.NoError(t, proc.cmd.Start())
	go func() { proc.ended <- proc.cmd.Wait() }()
	t.Cleanup(func() {
		_ = proc.cmd.Process.Kill() // an error says it has ended
		if end := <-proc.ended; t.Failed() {
			t.Log(proc.output.String(), end)
		}
	})
	return proc
}

// stop sends SIGTERM and returns how the process ended.
func (proc *process) stop(t *testing.T) error {
	t.Helper()
	require.NoError(t, proc.cmd.Process.Signal(syscall.SIGTERM))
	ctx, cancel := context.WithTimeout(t.Context(), stopPatience)
	defer cancel()
	select {
	case err := <-proc.ended:
		proc.ended <- err // for the cleanup
		return err
	case <-ctx.Done():
		return errors.New("still there after 15 s: it would be killed")
	}
}

func (p platform) request(ctx context.Context, method, path string, body any) error {
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(ctx, method, p.url+path, reader)
	if err != nil {
		return err
	}
	r.Header.Set("X-Forwarded-Access-Token", adminToken)
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it is read to its end
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %d %s", method, path, response.StatusCode, answer)
	}
	return err
}

func (p platform) awaitReady(t *testing.T) {
	t.Helper()
	testkit.EventuallyOK(t, "the app to be ready", func() error { return p.request(t.Context(), http.MethodGet, "/ready", nil) })
}

func usageBatch() any {
	return map[string]any{"events": []any{map[string]any{
		"id": uuid.Must(uuid.NewV7()), "event_type": "page_view", "timestamp": time.Now().UTC(), "page_name": "/home",
	}}}
}

func everyFileCanBeUploaded(t *testing.T, dir string) {
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		info, err := file.Info()
		require.NoError(t, err)
		require.Less(t, info.Size(), int64(10_000_000), file.Name())
	}
}

func billOfMaterialsIsTrue(t *testing.T, dir string) {
	bom, err := os.ReadFile(filepath.Join(dir, "sbom.cdx.json"))
	require.NoError(t, err)
	licences, err := os.ReadFile(filepath.Join(dir, "LICENSES.txt"))
	require.NoError(t, err)
	for _, module := range []string{"github.com/jackc/pgx/v5", "github.com/nats-io/nats-server/v2", "github.com/databricks/databricks-sdk-go", "std"} {
		require.Contains(t, string(bom), `"pkg:golang/`+module+"@")
		require.Contains(t, string(licences), "golang "+module+"@")
	}
	require.NotContains(t, string(bom), "stretchr/testify", "what only tests use is not in the binary")
}

func servesThroughEveryToken(t *testing.T, dir string) {
	// Tokens of three seconds and connections of half a one: more than an hour of each.
	p := setupPlatform(t, 3*time.Second)
	proc := p.start(t, dir)
	p.awaitReady(t)
	first := p.workspace.Minted()
	for p.workspace.Minted() < first+6 {
		require.NoError(t, p.request(t.Context(), http.MethodPost, "/api/v1/metrics/usage-events", usageBatch()))
		require.NoError(t, p.request(t.Context(), http.MethodGet, "/api/v1/metrics/usage", nil))
	}
	accepted, refused := p.gateway.Logins()
	require.Zero(t, refused, "every login had a token that was still good")
	require.Greater(t, accepted, 6)
	require.Empty(t, p.workspace.Unknown(), "nothing is asked of the workspace but what is documented")
	require.NoError(t, proc.stop(t))
	for _, secret := range []string{adminToken, workspacetest.ClientSecret, "database-token-", "workspace-token-"} {
		require.NotContains(t, proc.output.String(), secret)
	}
}

func startsBeforeItsDatabase(t *testing.T, dir string) {
	p := setupPlatform(t, time.Hour)
	p.gateway.Suspend()
	proc := p.start(t, dir)
	testkit.EventuallyOK(t, "health while the database is away", func() error {
		return p.request(t.Context(), http.MethodGet, "/health", nil)
	})
	require.Error(t, p.request(t.Context(), http.MethodGet, "/ready", nil))
	p.gateway.Wake()
	p.awaitReady(t)
	require.NoError(t, proc.stop(t))
}

func speaksHTTP2InTheClear(t *testing.T, dir string) {
	p := setupPlatform(t, time.Hour)
	proc := p.start(t, dir)
	p.awaitReady(t)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get(p.url + "/health")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, 2, response.ProtoMajor)
	require.NoError(t, proc.stop(t))
}

func damagedReleaseIsRefused(t *testing.T, dir string) {
	damaged := t.TempDir()
	require.NoError(t, os.CopyFS(damaged, os.DirFS(dir)))
	require.NoError(t, os.WriteFile(filepath.Join(damaged, "lakepulse.sha256"), []byte(strings.Repeat("0", 64)), 0o600))
	cmd := exec.Command("sh", "./start.sh", "version")
	cmd.Dir, cmd.Env = damaged, []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "deploy again")
}
