package deadletter_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/pkg/testkit/installation"
	"github.com/lakepulse/lakepulse/tools/deadletter"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	s := installation.Start(t)
	batch := eventtest.Usage("orders", 2, installation.Recent())
	s.Publish(batch)
	r, err := stream.OpenReader(t.Context(), s.JS, stream.DefaultTopology())
	require.NoError(t, err)
	defer r.Close()
	m, err := r.Next()
	require.NoError(t, err)
	grave := stream.Grave{JS: s.JS, CodeVersion: "v9", Now: time.Now}
	for _, part := range []string{"a", "b", "c"} {
		require.NoError(t, grave.Bury(t.Context(), m, stream.Remains{Event: batch, Part: part, Reason: errors.New("no room")}))
	}
	count := func() uint64 {
		n, err := stream.CountDead(t.Context(), s.JS)
		require.NoError(t, err)
		return n
	}
	var out bytes.Buffer
	require.NoError(t, deadletter.WriteTable(t.Context(), s.JS, &out))
	require.Equal(t, 3, strings.Count(out.String(), "no room"))

	t.Run("are shown with what is in them", func(t *testing.T) {
		out.Reset()
		require.NoError(t, deadletter.Each(t.Context(), s.JS, deadletter.Selection{Sequences: []uint64{2}}, func(d *stream.DeadLetter) error { return deadletter.WriteJSON(&out, d) }))
		require.Contains(t, out.String(), batch.Usage[1].ID.String())
		require.Contains(t, out.String(), `"code_version": "v9"`)
	})

	act := func(dry bool, sequences []uint64, all bool, what func(deadletter.Editor, *stream.DeadLetter) error) error {
		a := deadletter.Editor{JS: s.JS, DryRun: dry, Out: &out}
		return deadletter.Each(t.Context(), s.JS, deadletter.Selection{Sequences: sequences, All: all}, func(d *stream.DeadLetter) error { return what(a, d) })
	}
	requeue := func(a deadletter.Editor, d *stream.DeadLetter) error { return a.Requeue(t.Context(), d) }
	drop := func(a deadletter.Editor, d *stream.DeadLetter) error { return a.Drop(t.Context(), d) }

	t.Run("stay where they are in a dry run", func(t *testing.T) {
		require.NoError(t, act(true, nil, true, requeue))
		require.NoError(t, act(true, nil, true, drop))
		require.EqualValues(t, 3, count())
		require.Contains(t, out.String(), "would requeue 1")
	})

	t.Run("go back onto the log", func(t *testing.T) {
		require.NoError(t, act(false, []uint64{1}, false, requeue))
		require.EqualValues(t, 2, count())
		reach, err := stream.ReadReach(t.Context(), s.JS)
		require.NoError(t, err)
		require.EqualValues(t, 2, reach.Last)
		require.ErrorIs(t, act(false, []uint64{1}, false, requeue), stream.ErrNoDeadLetter)
	})

	t.Run("are dropped, all of them", func(t *testing.T) {
		require.NoError(t, act(false, nil, true, drop))
		require.Zero(t, count())
	})
}
