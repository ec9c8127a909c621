package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/lakepulse/lakepulse/tools/replay"
)

// in is where answers come from.
func (e *env) in() io.Reader { return os.Stdin }

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// meter shows how far a tool is: a bar on a terminal, now and then a line
// elsewhere.
type meter struct {
	out      io.Writer
	what     string
	terminal bool
	began    time.Time
	shown    time.Time
	last     replay.Progress
}

func newMeter(out io.Writer, what string) *meter {
	file, isFile := out.(*os.File)
	now := time.Now()
	return &meter{out: out, what: what, terminal: isFile && term.IsTerminal(int(file.Fd())), began: now, shown: now}
}

func (m *meter) update(p replay.Progress) {
	m.last = p
	pause := 5 * time.Second
	if m.terminal {
		pause = 100 * time.Millisecond
	}
	if now := time.Now(); now.Sub(m.shown) >= pause {
		m.shown = now
		m.show()
	}
}

func (m *meter) show() {
	text := meterText(m.what, m.last, time.Since(m.began))
	if m.terminal {
		text = "\r\x1b[K" + text
	} else {
		text += "\n"
	}
	_, _ = io.WriteString(m.out, text) // progress that cannot be shown stops nothing
}

// done ends the bar.
func (m *meter) done() {
	if m.terminal && m.shown.After(m.began) {
		m.show()
		_, _ = io.WriteString(m.out, "\n") // as in show
	}
}

// meterText is the line for a progress after some time.
func meterText(what string, p replay.Progress, took time.Duration) string {
	rate := float64(p.Events) / max(took.Seconds(), 0.001)
	if p.Done < 0 {
		return fmt.Sprintf("%s: %d events, %.0f/s", what, p.Events, rate)
	}
	const width = 30
	done := min(max(p.Done, 0), 1)
	bar := strings.Repeat("█", int(done*width)) + strings.Repeat("░", width-int(done*width))
	left := "?"
	if done > 0 {
		left = time.Duration(float64(took) * (1 - done) / done).Round(time.Second).String()
	}
	return fmt.Sprintf("%s: %s %3.0f%%  %d events, %.0f/s, %s left", what, bar, 100*done, p.Events, rate, left)
}
