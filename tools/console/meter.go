package console

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// Progress is the state of a running tool.
type Progress struct {
	Events   int64   // handled so far
	Done     float64 // share of the work, 0..1; below 0 when the end is not known
	Position uint64  // in the log (sequence) or the file (line)
}

const (
	terminalInterval = 100 * time.Millisecond
	plainInterval    = 5 * time.Second
	barWidth         = 30
)

// Meter shows the progress of a tool: a bar on a terminal, elsewhere a line every
// few seconds.
type Meter struct {
	out      io.Writer
	name     string
	terminal bool
	clock    func() time.Time
	began    time.Time
	shown    time.Time
	last     Progress
}

// NewMeter returns a meter that writes to out under the tool's name.
func NewMeter(out io.Writer, name string, clock func() time.Time) *Meter {
	file, isFile := out.(*os.File)
	now := clock()
	return &Meter{out: out, name: name, terminal: isFile && term.IsTerminal(int(file.Fd())), clock: clock, began: now, shown: now}
}

// Update records p, and shows it unless the last line is too recent.
func (m *Meter) Update(p Progress) {
	m.last = p
	interval := plainInterval
	if m.terminal {
		interval = terminalInterval
	}
	if now := m.clock(); now.Sub(m.shown) >= interval {
		m.shown = now
		m.write()
	}
}

func (m *Meter) write() {
	text := progressLine(m.name, m.last, m.clock().Sub(m.began))
	if m.terminal {
		text = "\r\x1b[K" + text
	} else {
		text += "\n"
	}
	_, _ = io.WriteString(m.out, text) // a closed output must not end the work
}

// Finish writes the last progress and ends the bar's line.
func (m *Meter) Finish() {
	if m.terminal && m.shown.After(m.began) {
		m.write()
		_, _ = io.WriteString(m.out, "\n") // as in write
	}
}

// progressLine formats a progress reached in the time elapsed.
func progressLine(name string, p Progress, elapsed time.Duration) string {
	rate := float64(p.Events) / max(elapsed.Seconds(), 0.001)
	if p.Done < 0 {
		return fmt.Sprintf("%s: %d events, %.0f/s", name, p.Events, rate)
	}
	done := min(max(p.Done, 0), 1)
	bar := strings.Repeat("█", int(done*barWidth)) + strings.Repeat("░", barWidth-int(done*barWidth))
	left := "?"
	if done > 0 {
		left = time.Duration(float64(elapsed) * (1 - done) / done).Round(time.Second).String()
	}
	return fmt.Sprintf("%s: %s %3.0f%%  %d events, %.0f/s, %s left", name, bar, 100*done, p.Events, rate, left)
}
