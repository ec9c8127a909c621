package testkit

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// Main is what TestMain calls: it runs the tests, stops what they shared, and fails the
// run if goroutines are left. Options name goroutines that may stay. It does not return.
func Main(m *testing.M, options ...goleak.Option) {
	os.Exit(run(m, options))
}

// AtExit has f run after the last test: for what several tests share, such as a built
// program.
func AtExit(f func()) {
	exits.mu.Lock()
	defer exits.mu.Unlock()
	exits.list = append(exits.list, f)
}

var exits struct {
	mu   sync.Mutex
	list []func()
}

func run(m *testing.M, options []goleak.Option) int {
	code := m.Run()
	for _, f := range exits.list { // no test runs any more that could add to it
		f()
	}
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "testkit: stop the shared database:", err)
		code = max(code, 1)
	}
	if code != 0 {
		return code // a failed test leaves goroutines as a matter of course
	}
	if err := goleak.Find(options...); err != nil {
		fmt.Fprintln(os.Stderr, "testkit:", err)
		return 1
	}
	return 0
}
