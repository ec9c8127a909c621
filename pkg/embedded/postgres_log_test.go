package embedded

import (
	"bytes"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func followed(t *testing.T, text string) (*postgresLog, string) {
	t.Helper()
	var out bytes.Buffer
	l := newPostgresLog(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	l.follow(io.NopCloser(strings.NewReader(text)))
	<-l.done
	return l, out.String()
}

func TestPostgresLog(t *testing.T) {
	for line, level := range map[string]string{
		"LOG:  listening on IPv4 address":                               "DEBUG",
		"ERROR:  duplicate key value":                                   "DEBUG",
		"FATAL:  sorry, too many clients already":                       "DEBUG",
		"WARNING:  there is already a transaction":                      "WARN",
		"PANIC:  could not write to file":                               "ERROR",
		"LOG:  server process (PID 7) was terminated by signal 9: Kill": "ERROR",
		"a line of another kind":                                        "DEBUG",
	} {
		t.Run(line+" is "+level, func(t *testing.T) {
			_, out := followed(t, line+"\n")
			require.Contains(t, out, "level="+level)
		})
	}
	t.Run("ready is noticed, also twice", func(t *testing.T) {
		l, _ := followed(t, strings.Repeat("LOG:  "+readyLine+"\n", 2))
		<-l.ready
	})
	t.Run("the last lines are kept", func(t *testing.T) {
		var text strings.Builder
		for i := range 50 {
			text.WriteString("line " + strconv.Itoa(i) + "\n")
		}
		l, _ := followed(t, text.String())
		lines := strings.Split(l.lastLines(), "\n")
		require.Len(t, lines, 20)
		require.Equal(t, "line 49", lines[19])
	})
	t.Run("a line of any length is drained", func(t *testing.T) {
		l, _ := followed(t, strings.Repeat("x", 1<<20)+"\nLOG:  "+readyLine+"\n")
		<-l.ready
	})
}

func TestNATSLog(t *testing.T) {
	var out bytes.Buffer
	l := newNATSLog(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	for level, log := range map[string]func(string, ...any){
		"DEBUG": l.Noticef, "WARN": l.Warnf, "ERROR": l.Errorf,
	} {
		out.Reset()
		log("about %d", 7)
		require.Contains(t, out.String(), "level="+level)
		require.Contains(t, out.String(), "about 7")
	}
	out.Reset()
	l.Debugf("x")
	l.Tracef("x")
	require.Equal(t, 2, strings.Count(out.String(), "level=DEBUG"))
	require.Empty(t, l.fatal())
	l.Fatalf("first")
	l.Fatalf("second")
	require.Equal(t, "first", l.fatal())
}
