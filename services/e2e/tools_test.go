package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// tool runs a command of the program and returns its outputs and exit code.
func tool(t *testing.T, env []string, args ...string) (out, errs string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary(t), args...)
	cmd.Env = environment(append(env, "XDG_CACHE_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); !exited {
		require.NoError(t, err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// replayedEvents is how many events TestReplayBetweenStandalones moves; the long
// suite takes LAKEPULSE_REPLAY_EVENTS=200000.
func replayedEvents(t *testing.T) int {
	t.Helper()
	n := 20_000
	if text := os.Getenv("LAKEPULSE_REPLAY_EVENTS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	return n
}

// TestReplayBetweenStandalones fills one standalone's log, replays it into an
// empty second one and compares both with their logs and with each other.
func TestReplayBetweenStandalones(t *testing.T) {
	from, to := newAlone(t), newAlone(t)
	js := connect(t, from.natsURL(t))
	pub := stream.NewPublisher(js)
	l := &ledger{}
	for left := replayedEvents(t); left > 0; left -= 2000 {
		at := recent().Add(-time.Duration(left%7) * time.Hour)
		performance, usage := eventtest.Performance("orders", 1000, at), eventtest.Usage("shop", 1000, at)
		require.NoError(t, pub.Publish(t.Context(), performance, ""))
		require.NoError(t, pub.Publish(t.Context(), usage, ""))
		l.add(eventtest.IDs(performance, usage))
	}
	from.requireKept(t, l, "orders", "shop")
	for range 2 { // again changes nothing
		_, errs, code := tool(t, nil, "replay", "--nats", from.natsURL(t), "--to-data-dir", to.dir)
		require.Zero(t, code, errs)
		to.requireKept(t, l, "orders", "shop")
	}
	for _, a := range []*alone{from, to} {
		out, errs, code := tool(t, nil, "verify", "--data-dir", a.dir)
		require.Zero(t, code, out+errs)
		require.NotContains(t, out, "DIFFERS")
	}
	require.Equal(t, stored(t, from.dsn(t), "orders", "shop"), stored(t, to.dsn(t), "orders", "shop"))
}

// TestTools runs the tools on a standalone as an operator would.
func TestTools(t *testing.T) {
	a := newAlone(t)
	l := &ledger{}
	s := newSender(t, "orders", l, a.direct)
	batch := eventtest.Performance("orders", 200, recent())
	require.NoError(t, s.deliver(t.Context(), batch))
	l.add(eventtest.IDs(batch))
	a.requireKept(t, l, "orders")
	data := []string{"--data-dir", a.dir}

	t.Run("verify says what is missing, and its exit code too", func(t *testing.T) {
		gone := batch.Performance[3].ID
		execSQL(t, a.dsn(t), `DELETE FROM metrics.performance_metrics WHERE id = '`+gone.String()+`'`)
		out, errs, code := tool(t, nil, append([]string{"verify"}, data...)...)
		require.Equal(t, 2, code, out+errs)
		require.Contains(t, out, gone.String())
	})

	t.Run("rebuild mends it", func(t *testing.T) {
		out, errs, code := tool(t, nil, append([]string{"rebuild"}, data...)...)
		require.Zero(t, code, out+errs)
		require.Contains(t, out, "1 stored")
		require.Contains(t, out, "The log reaches back to")
		a.requireKept(t, l, "orders")
	})

	t.Run("rebuild asks before it empties tables", func(t *testing.T) {
		_, errs, code := tool(t, nil, append([]string{"rebuild", "--truncate"}, data...)...)
		require.Equal(t, 1, code)
		require.Contains(t, errs, "nothing was changed")
		out, errs, code := tool(t, nil, append([]string{"rebuild", "--truncate", "--yes"}, data...)...)
		require.Zero(t, code, out+errs)
		a.requireKept(t, l, "orders")
	})

	t.Run("a file goes out and comes in, under other names and at another time", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "events.ndjson.zst")
		_, errs, code := tool(t, nil, append([]string{"replay", "--app", "orders", "--to-file", file}, data...)...)
		require.Zero(t, code, errs)
		_, errs, code = tool(t, nil, "replay", "--file", file, "--to-database", a.dsn(t))
		require.Zero(t, code, errs)
		require.Contains(t, errs, "200 existed already")
		out, errs, code := tool(t, nil, "replay", "--file", file, "--to-file", "-", "--pseudonymise", "--shift-to", "now")
		require.Zero(t, code, errs)
		require.NotContains(t, out, "@example.com")
		require.NotContains(t, out, batch.Performance[0].ID.String())
	})

	t.Run("replay refuses to go in a circle", func(t *testing.T) {
		_, errs, code := tool(t, nil, append([]string{"replay", "--to-data-dir", a.dir}, data...)...)
		require.Equal(t, 2, code)
		require.Contains(t, errs, "same log")
	})

	t.Run("dead letters are listed, shown, tried and dropped", func(t *testing.T) {
		js := connect(t, a.natsURL(t))
		_, err := js.Publish(t.Context(), "metrics.usage.orders", []byte("no batch"), jetstream.WithExpectStream(stream.Name))
		require.NoError(t, err)
		awaitStored(t, a.natsURL(t))
		dead := func(args ...string) string {
			out, errs, code := tool(t, nil, append(append([]string{"dead"}, args...), data...)...)
			require.Zero(t, code, errs)
			return out
		}
		require.Contains(t, dead("list"), "malformed")
		require.Contains(t, dead("show", "1"), `"raw"`)
		require.Contains(t, dead("requeue", "--dry-run", "--all"), "would requeue 1")
		require.Contains(t, dead("requeue", "1"), "requeued 1")
		awaitStored(t, a.natsURL(t))
		require.Contains(t, dead("drop", "--all"), "dropped 2", "it was refused again, for the same reason")
		require.NotContains(t, dead("list"), "malformed")
	})
}
