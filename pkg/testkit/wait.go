package testkit

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/embedded"
)

const (
	pollInterval = 10 * time.Millisecond
	// waitPatience bounds a wait that will not be fulfilled. It is long because it only
	// delays failures, and a loaded machine must not make them.
	waitPatience = 60 * time.Second
)

// Eventually waits until condition holds, asking every 10 ms, and fails the test after a
// minute. what names the awaited fact in the failure. condition runs on the test's
// goroutine, so it may use require.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	wait(t, func() (bool, string) { return condition(), what })
}

// EventuallyOK is Eventually for an action that must succeed; the failure shows its last
// error.
func EventuallyOK(t testing.TB, what string, action func() error) {
	t.Helper()
	wait(t, func() (bool, string) {
		if err := action(); err != nil {
			return false, what + ": " + err.Error()
		}
		return true, what
	})
}

// EventuallyEqual is Eventually for a value; the failure shows the last one.
func EventuallyEqual[T any](t testing.TB, want T, get func() T) {
	t.Helper()
	var last T
	equal := func() bool {
		last = get()
		return assert.ObjectsAreEqual(want, last)
	}
	if !poll(equal, waitPatience) {
		require.Equal(t, want, last)
	}
}

func wait(t testing.TB, try func() (bool, string)) {
	t.Helper()
	var state string
	done := poll(func() (ok bool) { ok, state = try(); return ok }, waitPatience)
	if !done {
		require.FailNow(t, "waited in vain for "+state)
	}
}

func poll(condition func() bool, patience time.Duration) bool {
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			return false
		}
		<-tick.C
	}
	return true
}

// Receive waits for a value on ch; a closed channel counts.
func Receive[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	timer := time.NewTimer(waitPatience)
	defer timer.Stop()
	select {
	case value := <-ch:
		return value
	case <-timer.C:
		require.FailNow(t, "waited in vain for "+what)
		panic("unreachable")
	}
}

// FreeAddr returns a loopback address that nobody listens on. Another process may take
// it before it is used: where a server can be given port 0, do that instead.
func FreeAddr(t testing.TB) string {
	t.Helper()
	port, err := embedded.FreePort()
	require.NoError(t, err)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// FreePort is the port of a FreeAddr.
func FreePort(t testing.TB) int {
	t.Helper()
	addr, err := net.ResolveTCPAddr("tcp", FreeAddr(t))
	require.NoError(t, err)
	return addr.Port
}
