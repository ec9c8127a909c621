package settings_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/settings"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const day = 24 * time.Hour

var now = time.Date(2026, 3, 18, 14, 0, 0, 0, time.UTC)

func TestValues(t *testing.T) {
	t.Parallel()

	t.Run("are read as they are written", func(t *testing.T) {
		t.Parallel()
		want := settings.Values{RawRetention: 30 * day, AggregateRetention: 400*day + time.Minute, StreamReplicas: 3, StreamMaxBytes: -1}
		var got settings.Values
		for _, name := range settings.Names() {
			require.NoError(t, got.Set(name, want.Get(name)))
		}
		require.Equal(t, want, got)
		require.Equal(t, "720h", want.Get(settings.RawRetention))
	})
	t.Run("that say nothing are empty", func(t *testing.T) {
		t.Parallel()
		for _, name := range settings.Names() {
			require.Empty(t, settings.Values{}.Get(name))
			require.NotEmpty(t, settings.Defaults().Get(name))
		}
	})
	t.Run("are refused with the name and the rule", func(t *testing.T) {
		t.Parallel()
		var v settings.Values
		require.ErrorContains(t, v.Set("raw-retenton", "1h"), "there is no such setting")
		require.ErrorContains(t, v.Set(settings.RawRetention, "7 days"), "raw-retention")
		for text, bad := range map[string]settings.Values{
			"at least an hour": {RawRetention: time.Minute}, "not be shorter": {RawRetention: 3 * day, AggregateRetention: day},
			"between 1 and 5": {StreamReplicas: 7}, "positive": {StreamMaxBytes: -2},
		} {
			require.ErrorContains(t, bad.Validate(), text)
		}
		require.NoError(t, settings.Values{}.Validate())
	})
}

func TestConflict(t *testing.T) {
	t.Parallel()
	recorded := settings.Defaults()
	require.NoError(t, settings.Conflict(settings.Values{}, recorded), "told nothing")
	require.NoError(t, settings.Conflict(recorded, recorded), "told the same")
	require.NoError(t, settings.Conflict(settings.Values{RawRetention: day}, settings.Values{}), "nothing is recorded")
	require.NoError(t, settings.Conflict(settings.Values{StreamReplicas: 3}, recorded), "the log keeps its shape, and the process starts")
	err := settings.Conflict(settings.Values{RawRetention: 30 * day}, recorded)
	require.ErrorIs(t, err, settings.ErrConflict)
	require.ErrorContains(t, err, "168h")
	require.ErrorContains(t, err, "720h")
}

func TestLive(t *testing.T) {
	t.Parallel()
	var none *settings.Live
	require.Equal(t, now.Add(-day), none.OldestAccepted(now, day), "without settings the configuration holds")
	live := settings.NewLive(settings.Values{RawRetention: 7 * day})
	require.Equal(t, now.Add(-7*day), live.OldestAccepted(now, day))
	line := now.Add(-7 * day).Add(-5 * time.Minute)
	live.Store(settings.State{Values: settings.Values{RawRetention: 30 * day}, PurgedBefore: line})
	require.Equal(t, line, live.OldestAccepted(now, day), "while the window grows, what is purged stays refused")
	require.Equal(t, now.Add(40*day).Add(-30*day), live.OldestAccepted(now.Add(40*day), day))
}

func TestExplain(t *testing.T) {
	t.Parallel()
	state := settings.State{Values: settings.Defaults(), PurgedBefore: now.Add(-7 * day)}
	cases := map[string]struct {
		name, value string
		says        string
		deletes     bool
	}{
		"a longer raw retention does not bring rows back": {settings.RawRetention, "720h", "do not come back", false},
		"a shorter raw retention deletes rows":            {settings.RawRetention, "24h", "deletes raw rows", true},
		"a shorter aggregate retention deletes":           {settings.AggregateRetention, "720h", "for good", true},
		"a longer aggregate retention does not":           {settings.AggregateRetention, "9000h", "Aggregates live", false},
		"more copies":                                     {settings.StreamReplicas, "3", "as many servers", false},
		"a bound on the log":                              {settings.StreamMaxBytes, "1000000000", "503", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			after := state.Values
			require.NoError(t, after.Set(c.name, c.value))
			text, deletes := "", false
			for _, consequence := range settings.Explain(c.name, state, after, now) {
				text, deletes = text+consequence.Text+"\n", deletes || consequence.Deletes
			}
			require.Contains(t, text, c.says)
			require.Equal(t, c.deletes, deletes)
		})
	}
}

func TestBucket(t *testing.T) {
	t.Parallel()
	nc, err := stream.Connect(stream.ConnectConfig{URL: testkit.NATS(t).URL(), Name: t.Name()}, testkit.Logger(t))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	kv, err := settings.EnsureBucket(t.Context(), js, 1)
	require.NoError(t, err)
	_, found, err := settings.Read(t.Context(), kv)
	require.NoError(t, err)
	require.False(t, found)

	want := settings.State{Values: settings.Values{RawRetention: 30 * day, StreamReplicas: 3}, PurgedBefore: now}
	for range 2 {
		require.NoError(t, settings.Publish(t.Context(), kv, want))
	}
	got, found, err := settings.Read(t.Context(), kv)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, want, got)
	status, err := kv.Status(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, status.Values(), "the same state is not written again")

	_, err = kv.PutString(t.Context(), "installation", `{"settings":{"raw-retention":"soon"}}`)
	require.NoError(t, err)
	_, _, err = settings.Read(t.Context(), kv)
	require.ErrorContains(t, err, "raw-retention")
}
