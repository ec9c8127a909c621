package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// built is the program under test, built once for all tests of a run.
var built struct {
	once sync.Once
	path string
	err  error
}

// binary returns the path of the lakepulse program, built from this source.
func binary(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		var dir string
		if dir, built.err = os.MkdirTemp("", "lakepulse-e2e-"); built.err != nil {
			return
		}
		testkit.AtExit(func() { _ = os.RemoveAll(dir) }) // the system clears its temporary directory, too
		built.path = filepath.Join(dir, "lakepulse")
		out, err := exec.Command("go", "build", "-o", built.path, "../..").CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("build lakepulse: %w\n%s", err, out)
		}
	})
	require.NoError(t, built.err)
	return built.path
}

// environment is this process's, without what would configure the program.
func environment(extra ...string) []string {
	env := make([]string, 0, len(os.Environ())+len(extra))
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		switch {
		case strings.HasPrefix(name, "LAKEPULSE_"), strings.HasPrefix(name, "PG"), strings.HasPrefix(name, "DATABRICKS_"),
			name == "NATS_URL", name == "NATS_CREDS", name == "DATABASE_URL":
		default:
			env = append(env, pair)
		}
	}
	return append(env, extra...)
}

// process is one lakepulse process, in one life after the other.
type process struct {
	t    *testing.T
	name string
	args []string
	env  []string

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of the last life
	asked  bool  // it was told to end
	// supervised: a process that ends without having been told to is started
	// again, as whatever runs it in earnest does.
	supervised bool
	output     output
}

// newProcess describes a process; start gives it its first life.
func newProcess(t *testing.T, name string, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, args: args, env: environment(env...)}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("last output of %s:\n%s", name, p.output.tail())
		}
	})
	return p
}

func (p *process) start() {
	p.t.Helper()
	path := binary(p.t)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = false
	require.NoError(p.t, p.launch(path))
}

// launch begins a life. The caller holds mu.
func (p *process) launch(path string) error {
	cmd := exec.Command(path, p.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, &p.output, &p.output
	cmd.WaitDelay = time.Second // an embedded database outlives a kill by a moment, and holds the pipe
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	p.cmd, p.exited = cmd, exited
	go func() {
		err := cmd.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.err = err
		close(exited)
		if p.supervised && !p.asked {
			p.t.Logf("%s ended by itself (%v) and is started again", p.name, err)
			if err := p.launch(path); err != nil {
				p.t.Errorf("start %s again: %v", p.name, err)
			}
		}
	}()
	return nil
}

func (p *process) signal(sig syscall.Signal) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		done := make(chan struct{})
		close(done)
		return done
	}
	p.asked = p.asked || sig == syscall.SIGKILL || sig == syscall.SIGTERM
	_ = p.cmd.Process.Signal(sig) // a process that is gone is what the caller waits for
	return p.exited
}

// kill ends the process at whatever instruction it is, and waits for its end.
func (p *process) kill() { <-p.signal(syscall.SIGKILL) }

// stop asks the process to end and requires that it did so in order: it gives up,
// with an error, when that takes it longer than its 14 seconds.
func (p *process) stop() {
	p.t.Helper()
	testkit.Receive(p.t, p.name+" to stop", p.signal(syscall.SIGTERM))
	p.mu.Lock()
	defer p.mu.Unlock()
	if !errors.Is(p.err, exec.ErrWaitDelay) {
		require.NoError(p.t, p.err, "%s must stop in order", p.name)
	}
}

// output keeps the end of what processes write.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const keptOutput = 64 << 10

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(b)
	if extra := o.buf.Len() - keptOutput; extra > keptOutput {
		o.buf.Next(extra)
	}
	return len(b), nil
}

func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := o.buf.String()
	return text[max(0, len(text)-keptOutput/4):]
}
