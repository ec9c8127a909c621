package replay_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/pkg/testkit/installation"
	"github.com/lakepulse/lakepulse/tools/console"
	"github.com/lakepulse/lakepulse/tools/rebuild"
	"github.com/lakepulse/lakepulse/tools/replay"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// run replays events of the installation's log, or of o.File, with o.
func run(t *testing.T, s *installation.Installation, o replay.Options) replay.Report {
	t.Helper()
	report, err := replay.Run(t.Context(), options(s, o))
	require.NoError(t, err)
	return report
}

func options(s *installation.Installation, o replay.Options) replay.Options {
	if o.File == "" {
		o.Log = s.JS
	}
	o.Clock = time.Now
	return o
}

// safeBuffer is a buffer that one goroutine writes and another reads.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestReplayOntoAnotherLog(t *testing.T) {
	t.Parallel()
	from, to := installation.Start(t), installation.Start(t)
	batches := []*event.Batch{
		eventtest.Performance("orders", 1000, installation.Recent()), eventtest.Usage("my.shop", 500, installation.Recent()), eventtest.Usage("orders", 500, installation.Recent()),
	}
	from.Publish(batches...)
	for range 2 { // again changes nothing
		report := run(t, from, replay.Options{ToLog: to.Pub})
		require.EqualValues(t, 2000, report.Events)
		_, err := rebuild.Run(t.Context(), to.JS, to.Pool, time.Now, nil)
		require.NoError(t, err)
		require.Equal(t, installation.IDsOf(batches...), to.IDs())
	}
}

func TestReplayIntoADatabase(t *testing.T) {
	t.Parallel()
	s := installation.Start(t)
	batches := []*event.Batch{eventtest.Performance("orders", 300, installation.Recent()), eventtest.Usage("shop", 200, installation.Recent())}
	s.Publish(batches...)
	report := run(t, s, replay.Options{ToDatabase: s.Pool})
	require.EqualValues(t, 500, report.Stored)
	require.Equal(t, installation.IDsOf(batches...), s.IDs())
	report = run(t, s, replay.Options{ToDatabase: s.Pool})
	require.EqualValues(t, 500, report.Duplicate)

	t.Run("what it refuses is counted, and stops nothing else", func(t *testing.T) {
		s.Exec(`ALTER TABLE usage_events ADD CONSTRAINT no_poison CHECK (page_name <> '/poison')`)
		more := eventtest.Usage("poisoned", 50, installation.Recent())
		more.Usage[13].PageName = "/poison"
		s.Publish(more)
		report := run(t, s, replay.Options{ToDatabase: s.Pool, App: "poisoned"})
		require.EqualValues(t, 49, report.Stored)
		require.EqualValues(t, 1, report.Refused)
		require.Contains(t, report.Reason, "no_poison")
	})
}

func TestReplayThroughAFile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"events.ndjson", "events.ndjson.zst"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := installation.Start(t), installation.Start(t)
			batches := []*event.Batch{eventtest.Performance("orders", 300, installation.Recent()), eventtest.Usage("shop", 200, installation.Recent())}
			from.Publish(batches...)
			file := filepath.Join(t.TempDir(), name)
			require.EqualValues(t, 500, run(t, from, replay.Options{ToFile: file}).Events)
			report := run(t, to, replay.Options{File: file, ToDatabase: to.Pool})
			require.EqualValues(t, 500, report.Stored)
			require.Equal(t, installation.IDsOf(batches...), to.IDs())

			t.Run("and what came out is what went in", func(t *testing.T) {
				var direct, roundabout bytes.Buffer
				run(t, from, replay.Options{ToWriter: &direct})
				run(t, to, replay.Options{File: file, ToWriter: &roundabout})
				require.Equal(t, direct.String(), roundabout.String())
				require.Equal(t, 500, strings.Count(direct.String(), "\n"))
			})
		})
	}
}

func TestReplayChooses(t *testing.T) {
	t.Parallel()
	s := installation.Start(t)
	early, late := installation.Recent().Add(-2*time.Hour), installation.Recent()
	s.Publish(eventtest.Performance("orders", 10, early), eventtest.Usage("orders", 20, early),
		eventtest.Performance("shop", 30, late), eventtest.Usage("shop", 40, late))
	file := filepath.Join(t.TempDir(), "events.ndjson")
	run(t, s, replay.Options{ToFile: file})
	cases := map[string]struct {
		o      replay.Options
		events int64
	}{
		"everything":           {replay.Options{}, 100},
		"an app":               {replay.Options{App: "shop"}, 70},
		"a kind":               {replay.Options{Kinds: []event.Kind{event.KindUsage}}, 60},
		"both":                 {replay.Options{App: "shop", Kinds: []event.Kind{event.KindUsage}}, 40},
		"since":                {replay.Options{Since: late}, 70},
		"until":                {replay.Options{Until: late}, 30},
		"a part of a batch":    {replay.Options{Since: late, Until: late.Add(5 * time.Millisecond)}, 10},
		"nothing":              {replay.Options{App: "nobody"}, 0},
		"an hour without any":  {replay.Options{Since: late.Add(time.Hour)}, 0},
		"from a sequence on":   {replay.Options{FromSequence: 3}, 70},
		"from beyond the last": {replay.Options{FromSequence: 99}, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			c.o.ToWriter = &out
			require.Equal(t, c.events, run(t, s, c.o).Events)
			require.EqualValues(t, c.events, strings.Count(out.String(), "\n"))
			if c.o.FromSequence > 0 {
				return
			}
			c.o.File = file
			require.Equal(t, c.events, run(t, s, c.o).Events, "and the same of a file")
		})
	}
}

func TestReplayShifts(t *testing.T) {
	t.Parallel()
	s := installation.Start(t)
	old := time.Now().UTC().Add(-30 * 24 * time.Hour).Truncate(time.Hour)
	batch := eventtest.Performance("orders", 100, old)
	s.Publish(batch)
	target := installation.Recent().Truncate(time.Second)

	t.Run("too old events are reported, not dropped in silence", func(t *testing.T) {
		report := run(t, s, replay.Options{ToDatabase: s.Pool, RawRetention: 7 * 24 * time.Hour})
		require.EqualValues(t, 100, report.Outside)
		require.True(t, report.Oldest.Equal(old))
		require.Zero(t, report.Events)
	})

	t.Run("all by the same, under ids that follow from the old ones", func(t *testing.T) {
		o := replay.Options{ToDatabase: s.Pool, RawRetention: 7 * 24 * time.Hour, Until: old.Add(time.Second), ShiftTo: target}
		require.EqualValues(t, 100, run(t, s, o).Stored)
		var first, last time.Time
		require.NoError(t, s.Pool.QueryRow(t.Context(), `SELECT min("timestamp"), max("timestamp") FROM performance_metrics`).Scan(&first, &last))
		require.True(t, first.Equal(target.Add(-time.Second)), "the end of what was chosen lies at the target")
		require.Equal(t, 99*time.Millisecond, last.Sub(first), "distances are kept")
		for _, id := range s.IDs() {
			require.NotContains(t, installation.IDsOf(batch), id)
		}
		require.EqualValues(t, 100, run(t, s, o).Duplicate, "run again it changes nothing")
	})

	t.Run("a file's end is found by reading it", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "events.ndjson.zst")
		run(t, s, replay.Options{ToFile: file})
		var out bytes.Buffer
		report := run(t, s, replay.Options{File: file, ToWriter: &out, ShiftTo: target})
		require.Equal(t, target.Sub(old.Add(99*time.Millisecond)).Truncate(time.Second), report.Shift)
	})
}

func TestReplayPseudonymises(t *testing.T) {
	t.Parallel()
	s := installation.Start(t)
	batch := eventtest.Usage("orders", 100, installation.Recent())
	s.Publish(batch, eventtest.Performance("orders", 100, installation.Recent()))
	var one, again, other bytes.Buffer
	run(t, s, replay.Options{ToWriter: &one, Key: []byte("key")})
	run(t, s, replay.Options{ToWriter: &again, Key: []byte("key")})
	run(t, s, replay.Options{ToWriter: &other, Key: []byte("another")})
	require.NotContains(t, one.String(), "@example.com")
	require.Contains(t, one.String(), `"user_id":"user-`)
	require.Equal(t, one.String(), again.String(), "the same key gives the same names")
	require.NotEqual(t, one.String(), other.String())
	run(t, s, replay.Options{ToDatabase: s.Pool, Key: []byte("key")})
	var users int
	require.NoError(t, s.Pool.QueryRow(t.Context(), `SELECT count(DISTINCT user_id) FROM (SELECT user_id FROM usage_events UNION ALL SELECT user_id FROM performance_metrics) AS u`).Scan(&users))
	require.Equal(t, 11, users, "as many as there were")
}

func TestReplayKeepsThePace(t *testing.T) {
	t.Parallel()
	s := installation.Start(t)
	at := installation.Recent()
	s.Publish(eventtest.Usage("orders", 1, at), eventtest.Usage("orders", 1, at.Add(48*time.Hour)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out safeBuffer
	ended := make(chan error, 1)
	o := options(s, replay.Options{ToWriter: &out, Speed: 10})
	go func() { _, err := replay.Run(ctx, o); ended <- err }()
	testkit.Eventually(t, "the first event to be shown while the second is not due", func() bool { return strings.Count(out.String(), "\n") == 1 })
	cancel()
	require.ErrorIs(t, testkit.Receive(t, "the replay to end", ended), context.Canceled)
}

func TestReplayInterruptedResumes(t *testing.T) {
	t.Parallel()
	s := installation.Start(t)
	var batches []*event.Batch
	for range 24 {
		b := eventtest.Usage("orders", 1000, installation.Recent())
		batches = append(batches, b)
		s.Publish(b)
	}
	for name, sink := range map[string]func(o *replay.Options, dir string){
		"into a file":        func(o *replay.Options, dir string) { o.ToFile = filepath.Join(dir, "out.ndjson") },
		"into a packed file": func(o *replay.Options, dir string) { o.ToFile = filepath.Join(dir, "out.ndjson.zst") },
		"into a database":    func(o *replay.Options, _ string) { o.ToDatabase = s.Pool },
		"into a file, shifted": func(o *replay.Options, dir string) {
			o.ToFile = filepath.Join(dir, "out.ndjson")
			o.ShiftTo = time.Now()
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			o := options(s, replay.Options{State: filepath.Join(dir, "state")})
			sink(&o, dir)
			for runs := 0; ; runs++ {
				require.Less(t, runs, 20)
				ctx, cancel := context.WithCancel(t.Context())
				start := int64(-1)
				o.Progress = func(p console.Progress) {
					if start < 0 {
						start = p.Events
					}
					if p.Events-start >= 9_000 {
						cancel()
					}
				}
				report, err := replay.Run(ctx, o)
				cancel()
				if err == nil {
					require.True(t, report.Resumed)
					require.EqualValues(t, 24_000, report.Events)
					break
				}
				require.ErrorIs(t, err, context.Canceled)
			}
			require.NoFileExists(t, o.State)
			if o.ToFile != "" {
				var out bytes.Buffer
				report := run(t, s, replay.Options{File: o.ToFile, ToWriter: &out})
				require.EqualValues(t, 24_000, report.Events)
				require.Zero(t, report.Unreadable)
				lines := strings.Split(strings.TrimSpace(out.String()), "\n")
				seen := map[string]bool{}
				for _, line := range lines {
					seen[line] = true
				}
				require.Len(t, seen, 24_000, "each once")
				return
			}
			require.Equal(t, installation.IDsOf(batches...), s.IDs())
		})
	}
}

func TestReplayCountsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	s := installation.Start(t)
	_, err := s.JS.PublishMsg(t.Context(), &nats.Msg{Subject: "metrics.usage.orders", Data: []byte("\xff")})
	require.NoError(t, err)
	s.Publish(eventtest.Usage("orders", 5, installation.Recent()))
	report := run(t, s, replay.Options{ToDatabase: s.Pool})
	require.EqualValues(t, 1, report.Unreadable)
	require.EqualValues(t, 5, report.Stored)

	file := filepath.Join(t.TempDir(), "broken.ndjson")
	require.NoError(t, os.WriteFile(file, []byte("{\n"+`{"kind":"other"}`+"\n"+`{"kind":"usage","app":"a"}`+"\n"), 0o600))
	report = run(t, s, replay.Options{File: file, ToDatabase: s.Pool})
	require.EqualValues(t, 2, report.Unreadable)
	require.EqualValues(t, 1, report.Invalid)
	require.Zero(t, report.Stored)
}

func TestTail(t *testing.T) {
	t.Parallel()
	s := installation.Start(t)
	s.Publish(eventtest.Usage("orders", 3, installation.Recent())) // before, so not shown
	show := func(o replay.TailOptions) (*safeBuffer, func()) {
		ctx, cancel := context.WithCancel(t.Context())
		out, ready, ended := &safeBuffer{}, make(chan struct{}), make(chan error, 1)
		o.Log, o.Out, o.Ready = s.JS, out, func() { close(ready) }
		go func() { ended <- replay.Tail(ctx, o) }()
		testkit.Receive(t, "tail to be ready", ready)
		return out, func() { cancel(); require.NoError(t, testkit.Receive(t, "tail to end", ended)) }
	}
	all, endAll := show(replay.TailOptions{})
	one, endOne := show(replay.TailOptions{App: "orders", Kinds: []event.Kind{event.KindPerformance}, JSON: true})
	performance := eventtest.Performance("orders", 2, installation.Recent())
	performance.Performance[0].Endpoint = "/bell\x1b[2J"
	s.Publish(eventtest.Usage("shop", 2, installation.Recent()), performance)
	testkit.Eventually(t, "the events to be shown", func() bool { return strings.Count(all.String(), "\n") == 4 && strings.Count(one.String(), "\n") == 2 })
	endAll()
	endOne()
	require.Contains(t, all.String(), "button_click  /things  save")
	require.NotContains(t, all.String(), "\x1b", "an event cannot write to the terminal")
	require.Contains(t, one.String(), `{"kind":"performance","id":"`+performance.Performance[0].ID.String())
}
