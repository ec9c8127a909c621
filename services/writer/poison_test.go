package writer_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

func TestPoisonIsIsolated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`ALTER TABLE performance_metrics ADD CONSTRAINT no_poison CHECK (endpoint NOT LIKE '/poison%')`)
	performance, usage := eventtest.Performance("orders", 200, recent()), eventtest.Usage("orders", 100, recent())
	performance.Performance[17].Endpoint, performance.Performance[150].Endpoint = "/poison/1", "/poison/2"
	poison := []*event.Batch{ptr(performance.Slice(17, 18)), ptr(performance.Slice(150, 151))}
	rest := []*event.Batch{ptr(performance.Slice(0, 17)), ptr(performance.Slice(18, 150)), ptr(performance.Slice(151, 200)), usage}
	b.publish(performance, usage)
	began := time.Now().Add(-time.Minute)
	w := b.start(startParams{name: "one"})
	b.requireStored(rest...)
	require.NoError(t, w.Trouble(), "one bad event is no outage")

	letters := b.dead()
	require.Len(t, letters, 2)
	for i, d := range letters {
		require.Contains(t, d.Reason, "no_poison")
		require.Equal(t, "metrics.performance.orders", d.OriginalSubject)
		require.EqualValues(t, 1, d.OriginalSequence)
		require.Equal(t, "test", d.CodeVersion)
		require.True(t, d.FirstSeen.After(began) && d.FirstSeen.Before(time.Now().Add(time.Minute)))
		got, err := event.Decode(d.SchemaVersion, d.Kind, d.Data)
		require.NoError(t, err)
		require.Equal(t, poison[i], got)
	}

	t.Run("once the reason is gone, requeueing stores it, and doing it twice changes nothing", func(t *testing.T) {
		b.exec(`ALTER TABLE performance_metrics DROP CONSTRAINT no_poison`)
		for range 2 {
			for _, d := range letters {
				require.NoError(t, stream.Requeue(t.Context(), b.js, d))
			}
		}
		b.requireStored(performance, usage)
		require.Empty(t, b.dead())
	})
}

func TestUnreadableMessagesAreBuried(t *testing.T) {
	t.Parallel()
	good := eventtest.Performance("orders", 3, recent())
	nan := eventtest.Performance("orders", 2, recent())
	nan.Performance[1].ID = [16]byte{}
	cases := map[string]struct {
		subject string
		schema  string
		data    []byte
		reason  string
		stored  int
	}{
		"of a newer schema version": {"metrics.performance.orders", strconv.Itoa(event.SchemaVersion + 1), good.Encode(nil), "newer schema version", 0},
		"of no schema version":      {"metrics.performance.orders", "", good.Encode(nil), "no schema version", 0},
		"that are no batch":         {"metrics.usage.orders", "1", []byte("\xff\xff\xff"), "malformed", 0},
		"of another app":            {"metrics.performance.shop", "1", good.Encode(nil), "on the subject of app", 0},
		"with an event without id":  {"metrics.performance.orders", "1", nan.Encode(nil), "id: must be a UUID", 1},
		"that are no ledger report": {"metrics.ledger.ingest", "", []byte("{}"), "ledger report without id", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			msg := nats.NewMsg(c.subject)
			msg.Data = c.data
			if c.schema != "" {
				msg.Header.Set(event.HeaderSchema, c.schema)
			}
			_, err := b.js.PublishMsg(t.Context(), msg)
			require.NoError(t, err)
			behind := eventtest.Usage("orders", 5, recent())
			b.publish(behind)
			b.start(startParams{name: "one"})
			b.awaitAcks()
			require.Len(t, b.stored(), 5+c.stored, "what is behind it is stored")
			letters := b.dead()
			require.Len(t, letters, 1)
			require.Contains(t, letters[0].Reason, c.reason)
			require.Equal(t, c.subject, letters[0].OriginalSubject)
			if c.stored == 0 {
				require.Equal(t, c.data, letters[0].Data, "the whole message is kept as it was")
			}
		})
	}
}

// A message whose dead letter cannot be written must not be acknowledged, also
// when the writer ends.
func TestStoppedBeforeTheDeadLetterIsWritten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.js.DeleteStream(t.Context(), stream.DeadName))
	_, err := b.js.Publish(t.Context(), "metrics.usage.orders", []byte("no batch"))
	require.NoError(t, err)
	w := b.start(startParams{name: "stopped"})
	b.awaitDelivery()
	_ = w.Stop(t.Context()) // it says that the message was left
	p, err := stream.ReadPosition(t.Context(), b.js, time.Now)
	require.NoError(t, err)
	require.EqualValues(t, 1, p.Waiting)

	require.NoError(t, b.cfg.Topology.Reconcile(t.Context(), b.js))
	b.start(startParams{name: "successor"})
	b.awaitAcks()
	require.Len(t, b.dead(), 1)
}

func ptr(b event.Batch) *event.Batch { return &b }
