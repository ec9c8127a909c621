package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain makes this binary the programs the tests start: a NATS server, which
// the rig starts as its own program, and what burns and keeps memory.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if role, is := roles[os.Args[1]]; is {
			role(os.Args[2:])
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// start starts a role of this binary.
func start(t *testing.T, args ...string) *Process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p, err := Start(Command{Name: args[0], Path: self, Args: args, Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	return p
}

// said waits until a role has said a word.
func said(t *testing.T, p *Process, word string) {
	t.Helper()
	require.NoError(t, p.until(t.Context(), func() bool { return strings.Contains(p.Tail(), word) }))
}

func TestTree(t *testing.T) {
	t.Run("the CPU of a child that has ended is its parent's", func(t *testing.T) {
		p := start(t, "parent", "burn")
		said(t, p, "child ended")
		tree, err := Tree(p.PID())
		require.NoError(t, err)
		require.GreaterOrEqual(t, tree.CPU, burnCPU)
	})
	t.Run("a living child counts with its CPU and its memory, and alone it does not", func(t *testing.T) {
		p := start(t, "parent", "hold")
		said(t, p, "holding")
		tree, err := Tree(p.PID())
		require.NoError(t, err)
		alone, err := One(p.PID())
		require.NoError(t, err)
		require.GreaterOrEqual(t, tree.RSS, alone.RSS+holdBytes)
		require.GreaterOrEqual(t, tree.CPU, alone.CPU)
	})
	t.Run("a process that is gone is an error, not nothing", func(t *testing.T) {
		p := start(t, "burn")
		require.NoError(t, p.Wait(t.Context()))
		_, err := Tree(p.PID())
		require.ErrorIs(t, err, os.ErrNotExist)
	})
}

func TestPeak(t *testing.T) {
	p := start(t, "swell")
	said(t, p, "swollen")
	t.Run("what was given back stays in the peak", func(t *testing.T) {
		u, err := Tree(p.PID())
		require.NoError(t, err)
		require.GreaterOrEqual(t, u.PeakRSS, int64(holdBytes))
		require.Less(t, u.RSS, u.PeakRSS-holdBytes/2)
	})
	t.Run("until the peak is taken anew", func(t *testing.T) {
		before, err := Tree(p.PID())
		require.NoError(t, err)
		require.NoError(t, ResetPeak(p.PID()))
		after, err := Tree(p.PID())
		require.NoError(t, err)
		require.Less(t, after.PeakRSS, before.PeakRSS-holdBytes/2)
	})
	t.Run("and an ended process has kept its own", func(t *testing.T) {
		q := start(t, "swell", "briefly")
		require.NoError(t, q.Wait(t.Context()))
		require.GreaterOrEqual(t, q.PeakRSS(), int64(holdBytes))
		require.Positive(t, q.CPU())
	})
}

func TestStatFields(t *testing.T) {
	// A name with a blank and a parenthesis must not shift the fields behind it.
	dir := t.TempDir()
	odd := filepath.Join(dir, "a ) b")
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, exec.CommandContext(t.Context(), "cp", self, odd).Run())
	p, err := Start(Command{Name: "odd", Path: odd, Args: []string{"wait"}, Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	said(t, p, "waiting")
	fields, err := statFields(p.PID())
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(os.Getpid()), fields[1], "the parent")
}

func TestUsagePlus(t *testing.T) {
	require.Equal(t, Usage{CPU: 4, PeakRSS: 6, RSS: 8}, Usage{1, 2, 3}.Plus(Usage{3, 4, 5}))
}

func TestProcess(t *testing.T) {
	t.Run("one that ends while it is waited for says why", func(t *testing.T) {
		p := start(t, "fail")
		err := p.Ready(t.Context(), "http://127.0.0.1:1/")
		require.ErrorContains(t, err, "exit status 3")
		require.ErrorContains(t, err, "out of luck")
	})
	t.Run("one that is never ready ends the wait with the context", func(t *testing.T) {
		p := start(t, "wait")
		said(t, p, "waiting")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, p.Ready(ctx, "http://127.0.0.1:1/"), context.Canceled)
	})
	t.Run("stopping twice is stopping", func(t *testing.T) {
		p := start(t, "wait")
		require.NoError(t, p.Stop())
		require.NoError(t, p.Stop())
	})
	t.Run("a program that is not there is an error", func(t *testing.T) {
		_, err := Start(Command{Name: "none", Path: filepath.Join(t.TempDir(), "none"), Dir: t.TempDir()})
		require.ErrorIs(t, err, os.ErrNotExist)
	})
	t.Run("the tail is the last lines", func(t *testing.T) {
		p := start(t, "talk")
		require.NoError(t, p.Wait(t.Context()))
		require.Equal(t, "5 | 6 | 7 | 8 | 9", p.Tail())
	})
}

func TestFreeAddr(t *testing.T) {
	addr, err := FreeAddr()
	require.NoError(t, err)
	require.Regexp(t, `^127\.0\.0\.1:\d+$`, addr)
	other, err := FreeAddr()
	require.NoError(t, err)
	require.NotEqual(t, addr, other, fmt.Sprint("twice the same place"))
}
