package cli

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/tools/replay"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":                          {},
		"now":                       now,
		"90m":                       now.Add(-90 * time.Minute),
		"2026-03-13":                time.Date(2026, 3, 13, 0, 0, 0, 0, time.UTC),
		"2026-03-13T14:00:00Z":      time.Date(2026, 3, 13, 14, 0, 0, 0, time.UTC),
		"2026-03-13T14:00:00+01:00": time.Date(2026, 3, 13, 13, 0, 0, 0, time.UTC),
	} {
		got, err := parseTime(text, now)
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"yesterday", "-5m", "14:00"} {
		_, err := parseTime(text, now)
		require.Error(t, err, text)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, writeReport(&out, replay.Report{Events: 5, Stored: 3, Duplicate: 2, Outside: 7, Oldest: time.Unix(0, 0).UTC(), Newest: time.Unix(60, 0).UTC()}))
	require.Equal(t, "5 events; 3 stored; 2 existed already; 7 LEFT OUT: from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z is outside the raw retention of the target; --shift-to moves events\n", out.String())
}

func TestAReplayRemembersItsOwn(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	one, err := (&replayCmd{File: "a"}).state()
	require.NoError(t, err)
	same, err := (&replayCmd{File: "a", Restart: true}).state()
	require.NoError(t, err)
	require.Equal(t, one, same)
	other, err := (&replayCmd{File: "a", ToFile: "b"}).state()
	require.NoError(t, err)
	require.NotEqual(t, one, other)
}
