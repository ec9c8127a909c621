package stream_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// TestShapeIsOfTheInstallation: what a process is told at its start changes
// neither replicas nor bounds of a log that exists.
func TestShapeIsOfTheInstallation(t *testing.T) {
	t.Parallel()
	config := func(t *testing.T, js jetstream.JetStream, name string) jetstream.StreamConfig {
		s, err := js.Stream(t.Context(), name)
		require.NoError(t, err)
		return s.CachedInfo().Config
	}
	t.Run("replicas", func(t *testing.T) {
		t.Parallel()
		three := stream.DefaultTopology()
		three.Replicas = 3
		js := connect(t, testkit.NATSCluster(t).Nodes[0].URL())
		testkit.EventuallyOK(t, "the streams", func() error { return three.Reconcile(t.Context(), js) })
		for _, told := range []int{0, 1} {
			other := stream.DefaultTopology()
			other.Replicas = told
			require.NoError(t, other.Reconcile(t.Context(), js))
			for _, name := range []string{stream.Name, stream.DeadName} {
				require.Equal(t, 3, config(t, js, name).Replicas)
			}
			state, err := other.Read(t.Context(), js)
			require.NoError(t, err)
			require.Len(t, state.Differences, told, "0 is no wish")
		}
	})
	t.Run("bounds", func(t *testing.T) {
		t.Parallel()
		js, topology, _ := setup(t, func(c *stream.Topology) { c.MaxBytes, c.DeadMaxBytes = 64<<20, 32<<20 })
		require.NoError(t, stream.DefaultTopology().Reconcile(t.Context(), js))
		other := topology
		other.MaxBytes, other.DeadMaxBytes = 8<<20, 4<<20
		require.NoError(t, other.Reconcile(t.Context(), js))
		require.EqualValues(t, 64<<20, config(t, js, stream.Name).MaxBytes)
		require.EqualValues(t, 32<<20, config(t, js, stream.DeadName).MaxBytes)
		state, err := other.Read(t.Context(), js)
		require.NoError(t, err)
		require.Contains(t, state.Differences[0], "may take 67108864 bytes")

		require.NoError(t, other.Reshape(t.Context(), js))
		require.EqualValues(t, 8<<20, config(t, js, stream.Name).MaxBytes)
		require.EqualValues(t, 4<<20, config(t, js, stream.DeadName).MaxBytes)
		state, err = other.Read(t.Context(), js)
		require.NoError(t, err)
		require.Empty(t, state.Differences)
	})
	t.Run("a full log is told", func(t *testing.T) {
		t.Parallel()
		js, topology, _ := setup(t, func(c *stream.Topology) { c.MaxBytes = 512 << 10 })
		_, err := topology.Read(t.Context(), js)
		require.ErrorContains(t, err, "is full")
	})
	t.Run("a lost log is told", func(t *testing.T) {
		t.Parallel()
		js, topology, _ := setup(t)
		require.NoError(t, js.DeleteStream(t.Context(), stream.Name))
		_, err := topology.Read(t.Context(), js)
		require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
	})
}
