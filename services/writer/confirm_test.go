package writer_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func (b *bundle) confirming(timeout time.Duration) *stream.Publisher {
	b.t.Helper()
	pub, err := stream.NewConfirmingPublisher(b.js, b.js.Conn(), timeout)
	require.NoError(b.t, err)
	return pub
}

func TestConfirmedPublish(t *testing.T) {
	t.Parallel()

	t.Run("returns after the commit", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.start(startParams{name: "one"})
		pub := b.confirming(time.Minute)
		batch := eventtest.Performance("orders", 1000, recent())
		require.NoError(t, pub.Publish(t.Context(), batch, "c-1"))
		require.Equal(t, sorted(eventtest.IDs(batch)), b.stored(), "every row is there the moment Publish returns")
	})

	t.Run("a repeated batch is confirmed and stored once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.start(startParams{name: "one"})
		pub := b.confirming(time.Minute)
		batch := eventtest.Usage("orders", 20, recent())
		for range 3 {
			require.NoError(t, pub.Publish(t.Context(), batch, ""))
		}
		require.Equal(t, sorted(eventtest.IDs(batch)), b.stored())
	})

	t.Run("fails when no writer runs, and the event is stored once one does", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		pub := b.confirming(50 * time.Millisecond)
		batch := eventtest.Usage("orders", 3, recent())
		require.Equal(t, fault.Unavailable, fault.CodeOf(pub.Publish(t.Context(), batch, "")))
		b.start(startParams{name: "late"})
		b.requireStored(batch)
	})

	t.Run("names each event that became a dead letter, to its own sender", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.exec(`ALTER TABLE performance_metrics ADD CONSTRAINT no_poison CHECK (endpoint NOT LIKE '/poison%')`)
		bad, good := eventtest.Performance("orders", 5, recent()), eventtest.Performance("orders", 5, recent())
		bad.Performance[3].Endpoint = "/poison/1"
		pub := b.confirming(time.Minute)
		answers := make(chan error, 2)
		go func() { answers <- pub.Publish(context.WithoutCancel(t.Context()), bad, "") }()
		go func() { answers <- pub.Publish(context.WithoutCancel(t.Context()), good, "") }()
		b.start(startParams{name: "one"})
		refused := errors.Join(<-answers, <-answers)
		var lost *stream.NotStoredError
		require.ErrorAs(t, refused, &lost)
		require.Len(t, lost.Reasons, 1)
		require.Contains(t, lost.Reasons[bad.Performance[3].ID], "no_poison")
		require.Len(t, b.stored(), 9)
		require.Len(t, b.dead(), 1)
	})
}

func TestConfirmedPublishWithTheDatabaseAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	proxy, dsn := testkit.ProxyURL(t, b.dsn)
	b.start(startParams{name: "one", dsn: dsn})
	pub := b.confirming(10 * time.Second)
	before := eventtest.Usage("orders", 3, recent())
	require.NoError(t, pub.Publish(t.Context(), before, ""))

	proxy.Cut()
	during := eventtest.Usage("orders", 3, recent())
	sent := make(chan error, 1)
	go func() { sent <- pub.Publish(context.WithoutCancel(t.Context()), during, "") }()
	testkit.Eventually(t, "publishers to hear that the database is away", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		err := pub.Publish(ctx, eventtest.Usage("other", 1, recent()), "")
		return err != nil && !errors.Is(err, context.DeadlineExceeded)
	})

	proxy.Heal()
	require.NoError(t, <-sent, "what waited for the database is confirmed once it is back")
	testkit.Eventually(t, "publishing to work again", func() bool {
		return pub.Publish(t.Context(), eventtest.Usage("orders", 1, recent()), "") == nil
	})
}

func TestStopStoresAllOfTheLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.StoreAllOnStop = true
	for range 30 {
		b.publish(eventtest.Performance("orders", 500, recent()))
	}
	w := b.start(startParams{name: "one"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, w.Stop(ctx))
	require.Len(t, b.stored(), 30*500)
}
