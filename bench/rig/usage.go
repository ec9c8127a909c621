package rig

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// clockTick is USER_HZ, which Linux fixes at 100 for everything it shows in /proc.
const clockTick = 100

// Usage is what process trees have used.
type Usage struct {
	CPU     float64 // seconds, user and system, ended children included
	PeakRSS int64   // bytes: the sum of each living process's peak
	RSS     int64   // bytes, now
}

// Plus returns the sum of two usages.
func (u Usage) Plus(v Usage) Usage {
	return Usage{u.CPU + v.CPU, u.PeakRSS + v.PeakRSS, u.RSS + v.RSS}
}

// Tree returns the usage of a process and everything below it.
func Tree(root int) (Usage, error) {
	pids, err := descendants(root)
	if err != nil {
		return Usage{}, err
	}
	var sum Usage
	for _, pid := range pids {
		u, err := One(pid)
		if errors.Is(err, os.ErrNotExist) && pid != root {
			continue // ended since it was listed: its parent's children's time has it
		}
		if err != nil {
			return Usage{}, err
		}
		sum = sum.Plus(u)
	}
	return sum, nil
}

// ResetPeak makes PeakRSS of a tree count from now on.
func ResetPeak(root int) error {
	pids, err := descendants(root)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		err := os.WriteFile(filepath.Join("/proc", strconv.Itoa(pid), "clear_refs"), []byte("5"), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("reset the peak of process %d: %w", pid, err)
		}
	}
	return nil
}

// One returns the usage of a single process. Its CPU holds that of its ended
// children, and not that of the living.
func One(pid int) (Usage, error) {
	fields, err := statFields(pid)
	if err != nil {
		return Usage{}, err
	}
	var ticks int64
	for _, i := range []int{11, 12, 13, 14} { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return Usage{}, fmt.Errorf("stat of process %d: %w", pid, err)
		}
		ticks += n
	}
	u := Usage{CPU: float64(ticks) / clockTick}
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return Usage{}, err
	}
	for line := range strings.Lines(string(status)) {
		name, rest, _ := strings.Cut(line, ":")
		kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		switch {
		case name != "VmHWM" && name != "VmRSS":
		case err != nil:
			return Usage{}, fmt.Errorf("status of process %d: %w", pid, err)
		case name == "VmHWM":
			u.PeakRSS = kilobytes << 10
		case name == "VmRSS":
			u.RSS = kilobytes << 10
		}
	}
	return u, nil
}

// statFields returns the fields of /proc/<pid>/stat after the name: state is 0.
func statFields(pid int) ([]string, error) {
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return nil, err
	}
	// "pid (name) state ppid …": the name may hold spaces and parentheses.
	fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
	if len(fields) < 15 {
		return nil, fmt.Errorf("stat of process %d: %d fields", pid, len(fields))
	}
	return fields, nil
}

func descendants(root int) ([]int, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, path := range paths {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return nil, err
		}
		fields, err := statFields(pid)
		if err != nil {
			continue // ended since it was listed
		}
		parent, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, err
		}
		children[parent] = append(children[parent], pid)
	}
	all := []int{root}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all, nil
}
