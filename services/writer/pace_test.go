package writer_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestPace(t *testing.T) {
	t.Parallel()
	one := func() *event.Batch { return eventtest.Usage("orders", 1, recent()) }
	start := func(b *bundle) (w running, commits *atomic.Int64) {
		commits = &atomic.Int64{}
		p := startParams{name: "paced"}
		p.hooks.AfterCommit = func() { commits.Add(1) }
		b.cfg.Workers, b.cfg.Pace, b.cfg.PaceRows = 1, time.Hour, 50
		return b.start(p), commits
	}

	t.Run("lets single events gather until they are worth a transaction", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, commits := start(b)
		sent := []*event.Batch{one()}
		b.publish(sent[0])
		b.requireStored(sent...)
		require.EqualValues(t, 1, commits.Load(), "the first after a pause does not wait")
		for range 50 {
			sent = append(sent, one())
			b.publish(sent[len(sent)-1])
		}
		b.requireStored(sent...)
		require.EqualValues(t, 2, commits.Load())
	})

	t.Run("ends with its time", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.cfg.PaceRows = 1_000_000
		b.start(startParams{name: "paced"}) // by the usual pace
		sent := []*event.Batch{one(), one(), one()}
		b.publish(sent...)
		b.requireStored(sent...)
	})

	t.Run("ends when the writer stops: what is in its hands is stored", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		taken := make(chan struct{}, 10)
		b.cfg.Workers, b.cfg.Pace, b.cfg.PaceRows = 1, time.Hour, 50
		p := startParams{name: "paced"}
		p.hooks.Taken = func() { taken <- struct{}{} }
		w := b.start(p)
		sent := []*event.Batch{one()}
		b.publish(sent[0])
		b.requireStored(sent...)
		sent = append(sent, one(), one())
		b.publish(sent[1], sent[2])
		for range 2 { // the first batch, then the one that waits for its time
			testkit.Receive(t, "a worker to take a message", taken)
		}
		require.NoError(t, w.Stop(t.Context()))
		stored := b.stored()
		b.start(startParams{name: "successor"})
		b.requireStored(sent...)
		require.GreaterOrEqual(t, len(stored), 2, "one at least was in hand, and not given back")
	})
}
