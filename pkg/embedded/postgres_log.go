package embedded

import (
	"bufio"
	"io"
	"log/slog"
	"strings"
	"sync"
)

const readyLine = "database system is ready to accept connections"

// postgresLog reads the server's log from a pipe until the last of its processes is
// gone, passes the lines on, keeps the last ones for error messages, and notices the
// line that says the server is ready.
type postgresLog struct {
	logger *slog.Logger
	ready  chan struct{} // closed at the ready line
	done   chan struct{} // closed at the end of the log

	mu   sync.Mutex
	tail []string
}

func newPostgresLog(logger *slog.Logger) *postgresLog {
	return &postgresLog{logger: logger, ready: make(chan struct{}), done: make(chan struct{})}
}

// follow reads r to its end. Lines longer than the buffer come in pieces: the pipe must
// be drained whatever is in it, or the server would block on its log.
func (l *postgresLog) follow(r io.ReadCloser) {
	defer close(l.done)
	defer func() { _ = r.Close() }() // a pipe's reading end: nothing to lose
	announced := false
	reader := bufio.NewReaderSize(r, 16<<10)
	for {
		line, _, err := reader.ReadLine()
		if err != nil {
			return // the end, or closed by stop
		}
		text := string(line)
		l.keep(text)
		l.pass(text)
		if !announced && strings.Contains(text, readyLine) {
			announced = true
			close(l.ready)
		}
	}
}

func (l *postgresLog) keep(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.tail) == 20 {
		l.tail = append(l.tail[:0], l.tail[1:]...)
	}
	l.tail = append(l.tail, line)
}

// lastLines returns the end of the log.
func (l *postgresLog) lastLines() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.tail, "\n")
}

// pass logs one line. An ERROR or FATAL was answered to a client, who handles it; the
// server's own trouble is a PANIC, a WARNING, or a process that died.
func (l *postgresLog) pass(line string) {
	severity, message, found := strings.Cut(line, ":  ")
	if !found {
		l.logger.Debug(line)
		return
	}
	switch {
	case severity == "PANIC", strings.Contains(message, "was terminated by signal"):
		l.logger.Error(message, "severity", severity)
	case severity == "WARNING":
		l.logger.Warn(message, "severity", severity)
	default:
		l.logger.Debug(message, "severity", severity)
	}
}

// lastLines returns the last n lines of a program's output.
func lastLines(output string, n int) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
