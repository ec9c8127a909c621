package testkit

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"
)

// Logger logs to t.Log, which shows it when the test fails or under -v, and is silent
// after the test's end: goroutines that the test's cleanup is still stopping may log,
// and t.Log would panic. A secret in the log fails the test.
func Logger(t testing.TB) *slog.Logger {
	w := &testWriter{t: t}
	t.Cleanup(w.end)
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type testWriter struct {
	mu sync.Mutex
	t  testing.TB // nil after the end
}

func (w *testWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t != nil {
		RequireNoSecrets(w.t, line)
		w.t.Log(string(bytes.TrimSpace(line)))
	}
	return len(line), nil
}

func (w *testWriter) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t = nil
}
