package console

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProgressLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		progress Progress
		want     string
	}{
		"a quarter":   {Progress{Events: 1000, Done: 0.25}, "replay: ███████░░░░░░░░░░░░░░░░░░░░░░░  25%  1000 events, 100/s, 30s left"},
		"nothing yet": {Progress{}, "replay: " + strings.Repeat("░", 30) + "   0%  0 events, 0/s, ? left"},
		"everything":  {Progress{Events: 10, Done: 1}, "replay: " + strings.Repeat("█", 30) + " 100%  10 events, 1/s, 0s left"},
		"more than everything is shown as everything": {Progress{Events: 10, Done: 1.5}, "replay: " + strings.Repeat("█", 30) + " 100%  10 events, 1/s, 0s left"},
		"an unknown end": {Progress{Events: 1000, Done: -1}, "replay: 1000 events, 100/s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, progressLine("replay", c.progress, 10*time.Second))
		})
	}
}

func TestMeter(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	now := start
	setup := func() (*bytes.Buffer, *Meter) {
		now = start
		var out bytes.Buffer
		return &out, NewMeter(&out, "verify", func() time.Time { return now })
	}

	t.Run("writes a plain line every five seconds where there is no terminal", func(t *testing.T) {
		out, m := setup()
		for range 1000 {
			m.Update(Progress{Events: 1})
		}
		require.Empty(t, out.String())
		now = start.Add(5 * time.Second)
		m.Update(Progress{Events: 10, Done: -1})
		m.Update(Progress{Events: 11, Done: -1})
		m.Finish()
		require.Equal(t, "verify: 10 events, 2/s\n", out.String())
	})

	t.Run("rewrites one line on a terminal and ends it", func(t *testing.T) {
		out, m := setup()
		m.terminal = true
		now = start.Add(100 * time.Millisecond)
		m.Update(Progress{Events: 1, Done: -1})
		now = start.Add(time.Second)
		m.Update(Progress{Events: 2, Done: -1})
		m.Finish()
		require.Equal(t, "\r\x1b[Kverify: 1 events, 10/s\r\x1b[Kverify: 2 events, 2/s\r\x1b[Kverify: 2 events, 2/s\n", out.String())
	})

	t.Run("writes nothing on a terminal when nothing was shown", func(t *testing.T) {
		out, m := setup()
		m.terminal = true
		m.Update(Progress{Events: 1})
		m.Finish()
		require.Empty(t, out.String())
	})
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"/orders/{id}": "/orders/{id}",
		"café 日本":      "café 日本",
		"/bell\x1b[2J": "/bell·[2J",
		"line\nfeed\r": "line·feed·",
		"tab\tnul\x00": "tab·nul·",
		"c1 \u009b31m": "c1 ·31m",
		"del\x7f":      "del·",
	} {
		require.Equal(t, want, Printable(text))
	}
}
