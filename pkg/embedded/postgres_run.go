package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/lakepulse/lakepulse/pkg/retry"
)

const (
	// portTries bounds how often a port that was free a moment ago may be taken.
	portTries = 5
	// immediatePatience is what an immediate shutdown gets before SIGKILL; PostgreSQL
	// itself kills its children after 5 s.
	immediatePatience = 7 * time.Second
	// logPatience is how long the log may stay open after the postmaster: until then the
	// last backends of a killed server have noticed its death.
	logPatience = 5 * time.Second
)

// run is one life of the server: its postmaster and its log.
type run struct {
	process *process
	log     *postgresLog
	pipe    *os.File
}

// start brings the server up. Once p is shared, callers hold mu.
func (p *Postgres) start(ctx context.Context) error {
	chosen := p.port != 0
	for try := 1; ; try++ {
		if !chosen {
			ports, err := FreePorts(1)
			if err != nil {
				return err
			}
			p.port = ports[0]
		}
		r, err := p.launch(ctx)
		switch {
		case err == nil:
			p.run = r
			return nil
		case !chosen && try < portTries && strings.Contains(err.Error(), "could not create any TCP/IP sockets"):
			// somebody took the port between choosing and binding
		case strings.Contains(err.Error(), "shared memory block") && ctx.Err() == nil:
			// Backends of a killed postmaster are about to notice its death.
			if err := retry.Sleep(ctx, 5*pollInterval); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// launch runs one postmaster until it is ready, or reports why it ended.
func (p *Postgres) launch(ctx context.Context) (*run, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open the log pipe: %w", err)
	}
	// Not bound to ctx, which is the start's alone.
	args := arguments(p.dir, p.cfg.settings(p.port))
	cmd := p.who.command(context.Background(), p.dir, p.install.program("postgres"), args...)
	// A file, not a writer: waiting for the postmaster must not wait for its children.
	cmd.Stdout, cmd.Stderr = writer, writer
	r := &run{log: newPostgresLog(p.logger), pipe: reader}
	r.process, err = startProcess(cmd, syscall.SIGINT)
	closeQuietly(writer) // ours; the server has its own
	if err != nil {
		closeQuietly(reader)
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	go r.log.follow(reader)
	select {
	case <-r.log.ready:
		return r, nil
	case <-r.process.done:
		r.drainLog()
		err := fmt.Errorf("PostgreSQL did not start (%w): %s", endOf(r.process), r.log.lastLines())
		// The postmaster itself, or a process it cannot start without.
		if strings.Contains(err.Error(), "signal: killed") || strings.Contains(err.Error(), "was terminated by signal 9") {
			err = fmt.Errorf("%w: %w", errKilled, err)
		}
		return nil, err
	case <-ctx.Done():
		err := fmt.Errorf("PostgreSQL did not start in time (%w): %s", ctx.Err(), r.log.lastLines())
		return nil, errors.Join(err, r.kill())
	}
}

func endOf(p *process) error {
	if p.err == nil {
		return errors.New("exit status 0")
	}
	return p.err
}

// stop ends the current run: at once for clients (fast shutdown), and without the
// final checkpoint if ctx ends before.
func (p *Postgres) stop(ctx context.Context) error {
	if p.run == nil {
		return nil
	}
	r := p.run
	p.run = nil
	defer r.drainLog()
	if r.process.exited() {
		return nil // it crashed earlier; its log said so
	}
	if err := r.process.signal(syscall.SIGINT); err != nil {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	select {
	case <-r.process.done:
		return nil
	case <-ctx.Done():
	}
	if err := r.process.signal(syscall.SIGQUIT); err != nil {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	late := fmt.Errorf("PostgreSQL was stopped without its final checkpoint: %w", ctx.Err())
	timer := time.NewTimer(immediatePatience)
	defer timer.Stop()
	select {
	case <-r.process.done:
		return late
	case <-timer.C:
		return errors.Join(late, r.kill())
	}
}

// kill ends the postmaster and its children by force. The postmaster is frozen first,
// so that it starts no child that the list would miss.
func (r *run) kill() error {
	pid := r.process.cmd.Process.Pid
	var children []int
	err := r.process.signal(syscall.SIGSTOP)
	if err == nil && !r.process.exited() {
		children, err = childrenOf(pid)
	}
	err = errors.Join(err, r.process.signal(syscall.SIGKILL))
	for _, child := range children {
		if killErr := syscall.Kill(child, syscall.SIGKILL); killErr != nil && !errors.Is(killErr, syscall.ESRCH) {
			err = errors.Join(err, killErr)
		}
	}
	<-r.process.done
	r.drainLog()
	if err != nil {
		return fmt.Errorf("kill PostgreSQL: %w", err)
	}
	return nil
}

// drainLog waits for the end of the log, which is the end of the last process, and
// gives up on it after a while: a stuck backend must not keep us.
func (r *run) drainLog() {
	timer := time.NewTimer(logPatience)
	defer timer.Stop()
	select {
	case <-r.log.done:
		return
	case <-timer.C:
	}
	closeQuietly(r.pipe)
	<-r.log.done
}
