package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Process is a program under test.
type Process struct {
	Name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error
}

// Command says what to start.
type Command struct {
	Name string // of its log file
	Path string
	Args []string
	Env  []string // besides our own
	Dir  string   // for its log
}

// Start starts a program. Its output goes to a file named after it.
func Start(c Command) (*Process, error) {
	log := filepath.Join(c.Dir, c.Name+".log")
	out, err := os.Create(log) //nolint:gosec // a directory of our own
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the child has its own
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	p := &Process{Name: c.Name, cmd: cmd, log: log, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The death signal comes when the thread that started the child ends: keep it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	return p, nil
}

// PID returns the root of the process's tree.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end of the process.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		if p.err != nil {
			return fmt.Errorf("%s: %w: %s", p.Name, p.err, p.Tail())
		}
		return nil
	case <-ctx.Done():
		return errors.Join(ctx.Err(), p.Stop())
	}
}

// PeakRSS returns the most memory an ended process had, in bytes.
func (p *Process) PeakRSS() int64 {
	if usage, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		return usage.Maxrss << 10
	}
	return 0
}

// CPU returns the seconds an ended process has used, its ended children included.
func (p *Process) CPU() float64 {
	return (p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()).Seconds()
}

// Stop asks the process to end, and kills it after 20 seconds.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(20 * time.Second):
	}
	err := p.cmd.Process.Kill()
	<-p.done
	return errors.Join(fmt.Errorf("%s did not stop: %s", p.Name, p.Tail()), err)
}

// Ready waits until url answers 200.
func (p *Process) Ready(ctx context.Context, url string) error {
	return p.until(ctx, func() bool {
		resp, err := http.Get(url) //nolint:gosec,noctx // our own loopback address
		if err != nil {
			return false
		}
		_ = resp.Body.Close() // only the status is of interest
		return resp.StatusCode == http.StatusOK
	})
}

// Listening waits until somebody accepts connections at addr.
func (p *Process) Listening(ctx context.Context, addr string) error {
	return p.until(ctx, func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return false
		}
		_ = c.Close() // nothing was sent
		return true
	})
}

func (p *Process) until(ctx context.Context, ok func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %w: %s", p.Name, p.err, p.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w: %s", p.Name, ctx.Err(), p.Tail())
		case <-tick.C:
		}
	}
	return nil
}

// Tail returns the last of what the process said.
func (p *Process) Tail() string {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], " | ")
}

// FreeAddr returns a loopback address nobody listens on.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
