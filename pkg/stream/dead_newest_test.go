package stream_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

func TestNewestDead(t *testing.T) {
	t.Parallel()
	js, topology, _ := setup(t)
	require.NoError(t, stream.NewPublisher(js).Publish(t.Context(), eventtest.Usage("my.app", 1, at), "c-1"))
	m := read(t, js, topology)[0]
	grave := stream.Grave{JS: js, CodeVersion: "v1", Now: func() time.Time { return at }}
	newest := func(limit int) (sequences []uint64) {
		list, err := stream.NewestDead(t.Context(), js, limit)
		require.NoError(t, err)
		for _, d := range list {
			sequences = append(sequences, d.Sequence)
		}
		return sequences
	}
	require.Empty(t, newest(3), "of none")
	for i := range 12 {
		require.NoError(t, grave.Bury(t.Context(), m, stream.Remains{Part: strconv.Itoa(i), Reason: errors.New("unreadable")}))
	}
	require.Equal(t, []uint64{10, 11, 12}, newest(3))
	require.Len(t, newest(50), 12, "all when there are fewer")
	for _, dropped := range []uint64{12, 11, 9, 8, 7, 6, 4} {
		require.NoError(t, stream.DropDead(t.Context(), js, dropped))
	}
	require.Equal(t, []uint64{3, 5, 10}, newest(3), "past the holes of those that were dropped")
	require.Equal(t, []uint64{10}, newest(1))
	require.Equal(t, []uint64{1, 2, 3, 5, 10}, newest(5))
}
