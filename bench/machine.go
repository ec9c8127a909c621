package main

import (
	"bufio"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// busyLoad is the load average a core may have at the start. More of it means
// that what is measured waits for others.
const busyLoad = 0.5

// begin writes down where the measurements are taken and of what, and warns when
// the machine has other work.
func (b *bench) begin(ctx context.Context) error {
	load := loadAverage()
	b.report.Load.Start = load
	if err := b.versions(ctx); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "bench: load average %.2f on %d cores\n", load, runtime.NumCPU())
	if load > busyLoad*float64(runtime.NumCPU()) {
		b.report.Section("machine")
		b.report.Note("busy at the start, load average %.2f on %d cores: only ratios and CPU seconds mean anything", load, runtime.NumCPU())
		fmt.Fprintln(os.Stderr, "bench: WARNING: the machine is busy with other work, rates and latencies will be worse than they are")
	}
	return nil
}

func (b *bench) versions(ctx context.Context) (err error) {
	v := map[string]string{"go": runtime.Version()}
	b.report.Versions = v
	if v["postgresql"], err = b.pg.Version(ctx); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, b.binary, "version").Output() //nolint:gosec // the program under test
	if err != nil {
		return fmt.Errorf("%s version: %w", b.binary, err)
	}
	v["lakepulse"] = strings.TrimPrefix(strings.TrimSpace(string(out)), "lakepulse ")
	if v["nats-server"], err = moduleVersion(b.binary, "github.com/nats-io/nats-server/v2"); err != nil {
		return err
	}
	for name, module := range map[string]string{"bento": "github.com/warpstreamlabs/bento", "telegraf": "github.com/influxdata/telegraf"} {
		program := filepath.Join(b.peers, name)
		if _, err := os.Stat(program); err != nil {
			v[name] = "not built"
			continue
		}
		if v[name], err = moduleVersion(program, module); err != nil {
			return err
		}
	}
	return nil
}

// moduleVersion reads from a program which version of a module is in it.
func moduleVersion(program, module string) (string, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "", err
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			return dep.Version, nil
		}
	}
	return "", fmt.Errorf("%s does not hold %s", program, module)
}

// machine describes this machine.
func machine() map[string]string {
	m := map[string]string{"cpus": strconv.Itoa(runtime.NumCPU()), "arch": runtime.GOARCH}
	if content, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m["kernel"] = strings.TrimSpace(string(content))
	}
	for name, at := range map[string]struct{ path, line string }{
		"cpu": {"/proc/cpuinfo", "model name"}, "memory": {"/proc/meminfo", "MemTotal"},
	} {
		if text, found := firstLine(at.path, at.line); found {
			m[name] = text
		}
	}
	return m
}

// firstLine returns what stands behind the colon of the first line that begins so.
func firstLine(path, begin string) (string, bool) {
	f, err := os.Open(path) //nolint:gosec // a file of the kernel
	if err != nil {
		return "", false
	}
	defer func() { _ = f.Close() }() // only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, text, is := strings.Cut(lines.Text(), ":"); is && strings.TrimSpace(name) == begin {
			return strings.TrimSpace(text), true
		}
	}
	return "", false
}

// loadAverage is that of the last minute, 0 where the system does not say.
func loadAverage() float64 {
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(content), " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return load
}
