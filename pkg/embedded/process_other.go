//go:build !linux

package embedded

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// dieWithParent cannot be had here: a postmaster left by a crash is stopped by the
// next start on its data directory.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}

// childrenOf lists the direct children of pid.
func childrenOf(pid int) ([]int, error) {
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		return nil, err
	}
	var children []int
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) != 2 || fields[1] != strconv.Itoa(pid) {
			continue
		}
		child, err := strconv.Atoi(fields[0])
		if err != nil {
			return nil, err
		}
		children = append(children, child)
	}
	return children, nil
}

// commandLine returns the words of a running process's command line; ps does not say
// where an argument with spaces ends, so that such an argument comes in pieces.
func commandLine(pid int) []string {
	out, err := exec.Command("ps", "-p", strconv.Itoa(pid), "-o", "command=").Output()
	if err != nil {
		return nil
	}
	return strings.Fields(string(out))
}

// workingDirectory is not to be had from ps.
func workingDirectory(int) string { return "" }
