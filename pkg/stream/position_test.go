package stream_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestPosition(t *testing.T) {
	t.Parallel()
	js, topology, _ := setup(t)
	p := stream.NewPublisher(js)
	require.NoError(t, p.Publish(t.Context(), eventtest.Usage("orders", 1, at), ""))
	require.NoError(t, p.Publish(t.Context(), eventtest.Usage("orders", 1, at), ""))
	_, err := stream.ReadPosition(t.Context(), js, time.Now)
	require.Error(t, err, "before there is a writer nothing is known")

	r, err := stream.OpenReader(t.Context(), js, topology)
	require.NoError(t, err)
	defer r.Close()
	first, err := r.Next()
	require.NoError(t, err)
	second, err := r.Next()
	require.NoError(t, err)

	t.Run("stops before the oldest message that is not acknowledged", func(t *testing.T) {
		require.NoError(t, second.Ack())
		position := await(t, js, time.Now, func(p stream.Position) bool { return p.Waiting == 1 })
		require.EqualValues(t, 0, position.Sequence)
		require.EqualValues(t, 1, position.Waiting)
		require.True(t, position.StoredThrough.Equal(first.Published))
	})

	t.Run("reaches the present when everything is", func(t *testing.T) {
		require.NoError(t, first.Ack())
		now := time.Now()
		position := await(t, js, func() time.Time { return now }, func(p stream.Position) bool { return p.Waiting == 0 })
		require.EqualValues(t, 2, position.Sequence)
		require.Zero(t, position.Waiting)
		require.True(t, position.StoredThrough.Before(now), "less what clocks may differ")
	})
}

// await waits for an ack, which nobody answers, to reach the position.
func await(t *testing.T, js jetstream.JetStream, now func() time.Time, ok func(stream.Position) bool) (p stream.Position) {
	t.Helper()
	testkit.Eventually(t, "the position to move", func() bool {
		var err error
		p, err = stream.ReadPosition(t.Context(), js, now)
		return err == nil && ok(p)
	})
	return p
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	js, topology, _ := setup(t)
	batch := eventtest.Usage("my.app", 3, at)
	require.NoError(t, stream.NewPublisher(js).Publish(t.Context(), batch, "c-1"))
	m := read(t, js, topology)[0]
	grave := stream.Grave{JS: js, CodeVersion: "v1", Now: func() time.Time { return at }}
	one := batch.Slice(1, 2)
	what := stream.Remains{Event: &one, Part: "x", Reason: errors.New("no\nroom")}
	for range 2 { // a writer that dies before its ack does it again
		require.NoError(t, grave.Bury(t.Context(), m, what))
	}
	require.NoError(t, grave.Bury(t.Context(), m, stream.Remains{Part: "all", Reason: errors.New("unreadable")}))

	list, err := stream.ListDead(t.Context(), js, 1, 10)
	require.NoError(t, err)
	require.Len(t, list, 2)
	d := list[0]
	require.Equal(t, "no room", d.Reason)
	require.Equal(t, "my.app", d.App)
	require.Equal(t, m.Subject, d.OriginalSubject)
	require.Equal(t, m.Sequence, d.OriginalSequence)
	require.True(t, d.FirstSeen.Equal(at))
	got, err := event.Decode(d.SchemaVersion, d.Kind, d.Data)
	require.NoError(t, err)
	require.Equal(t, &one, got)
	require.Equal(t, m.Data, list[1].Data)

	t.Run("requeueing moves it back, and doing it twice is no error", func(t *testing.T) {
		require.NoError(t, stream.Requeue(t.Context(), js, d))
		require.NoError(t, stream.Requeue(t.Context(), js, d))
		n, err := stream.CountDead(t.Context(), js)
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
	})

	t.Run("dropping removes it, once", func(t *testing.T) {
		require.NoError(t, stream.DropDead(t.Context(), js, list[1].Sequence))
		require.ErrorIs(t, stream.DropDead(t.Context(), js, list[1].Sequence), stream.ErrNoDeadLetter)
		_, err := stream.GetDead(t.Context(), js, list[1].Sequence)
		require.ErrorIs(t, err, stream.ErrNoDeadLetter)
	})
}
