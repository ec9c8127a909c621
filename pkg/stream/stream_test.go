package stream_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lakepulse/lakepulse/pkg/embedded"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var at = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// setup returns the streams of a server of the test's own.
func setup(t *testing.T, change ...func(*stream.Topology)) (jetstream.JetStream, stream.Topology, *embedded.NATS) {
	t.Helper()
	server := testkit.NATS(t)
	topology := stream.DefaultTopology()
	for _, c := range change {
		c(&topology)
	}
	js := connect(t, server.URL())
	require.NoError(t, topology.Reconcile(t.Context(), js))
	return js, topology, server
}

func connect(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := stream.Connect(stream.ConnectConfig{URL: url, Name: t.Name()}, testkit.Logger(t))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

// read returns the messages that are in the log.
func read(t *testing.T, js jetstream.JetStream, topology stream.Topology) []*stream.Message {
	t.Helper()
	s, err := js.Stream(t.Context(), stream.Name)
	require.NoError(t, err)
	r, err := stream.OpenReader(t.Context(), js, topology)
	require.NoError(t, err)
	defer r.Close()
	var messages []*stream.Message
	for range s.CachedInfo().State.Msgs {
		m, err := r.Next()
		require.NoError(t, err)
		require.NoError(t, m.Ack())
		messages = append(messages, m)
	}
	return messages
}

func idsOf(t *testing.T, messages []*stream.Message) []uuid.UUID {
	t.Helper()
	var ids []uuid.UUID
	for _, m := range messages {
		b, err := m.Decode()
		require.NoError(t, err)
		ids = append(ids, eventtest.IDs(b)...)
	}
	return ids
}

func TestPublish(t *testing.T) {
	t.Parallel()

	t.Run("what is published is read, with where it came from", func(t *testing.T) {
		t.Parallel()
		js, topology, _ := setup(t)
		batch := eventtest.Usage("my.app", 3, at)
		require.NoError(t, stream.NewPublisher(js).Publish(t.Context(), batch, "c-1"))
		messages := read(t, js, topology)
		require.Len(t, messages, 1)
		m := messages[0]
		require.Equal(t, "metrics.usage.my%2Eapp", m.Subject)
		require.Equal(t, event.KindUsage, m.Kind)
		require.Equal(t, "my.app", m.App)
		require.EqualValues(t, 1, m.Sequence)
		require.Equal(t, event.SchemaVersion, m.Version())
		require.Equal(t, []string{"c-1"}, m.Correlations())
		got, err := m.Decode()
		require.NoError(t, err)
		require.Equal(t, batch, got)
	})

	t.Run("a batch too large for one message travels in several", func(t *testing.T) {
		t.Parallel()
		js, topology, _ := setup(t)
		batch := eventtest.Usage("orders", event.MaxBatch, at)
		for i := range batch.Usage {
			batch.Usage[i].Metadata = []byte(`{"a":"` + strings.Repeat("x", 4000) + `"}`)
		}
		require.NoError(t, stream.NewPublisher(js).Publish(t.Context(), batch, ""))
		messages := read(t, js, topology)
		require.Greater(t, len(messages), 4)
		require.Equal(t, eventtest.IDs(batch), idsOf(t, messages), "in their order")
	})
}

func TestPublishGroups(t *testing.T) {
	t.Parallel()
	js, topology, _ := setup(t)
	held := &heldPublisher{JetStream: js, reached: make(chan struct{}), release: make(chan struct{})}
	p := stream.NewPublisher(held)
	batches := make([]*event.Batch, 20)
	var g errgroup.Group
	for i := range batches {
		batches[i] = eventtest.Performance("orders", 10, at)
		if i == 0 {
			g.Go(func() error { return p.Publish(context.Background(), batches[0], "c-0") })
			testkit.Receive(t, "the first message to be under way", held.reached)
			continue
		}
		g.Go(func() error { return p.Publish(context.Background(), batches[i], fmt.Sprintf("c-%d", i)) })
	}
	testkit.Eventually(t, "the others to wait", func() bool { return stream.Waiting(p) == 190 })
	close(held.release)
	require.NoError(t, g.Wait())
	messages := read(t, js, topology)
	require.Len(t, messages, 2, "those that came meanwhile shared a message")
	require.ElementsMatch(t, eventtest.IDs(batches...), idsOf(t, messages))
	require.LessOrEqual(t, len(messages[1].Correlations()), 16)
}

// heldPublisher lets no message through before release.
type heldPublisher struct {
	jetstream.JetStream
	once    sync.Once
	reached chan struct{}
	release chan struct{}
}

func (h *heldPublisher) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	h.once.Do(func() { close(h.reached) })
	<-h.release
	return h.JetStream.PublishMsg(ctx, msg, opts...)
}

func TestStreamFull(t *testing.T) {
	t.Parallel()
	js, topology, _ := setup(t, func(c *stream.Topology) { c.MaxBytes = 256 << 10 })
	p := stream.NewPublisher(js)
	var accepted []uuid.UUID
	var refused error
	for refused == nil {
		batch := eventtest.Performance("orders", 200, at)
		if refused = p.Publish(t.Context(), batch, ""); refused == nil {
			accepted = append(accepted, eventtest.IDs(batch)...)
		}
	}
	f := fault.As(refused)
	require.Equal(t, fault.Unavailable, f.Code)
	require.Equal(t, 503, f.Status())
	require.Positive(t, f.RetryAfter)
	require.ErrorContains(t, refused, "the log is full")
	require.NotEmpty(t, accepted)
	require.Equal(t, accepted, idsOf(t, read(t, js, topology)), "what was accepted is all there: nothing old made room")
}

func TestLogAway(t *testing.T) {
	t.Parallel()
	js, topology, server := setup(t)
	p := stream.NewPublisher(js)
	server.Stop()
	batch := eventtest.Performance("orders", 5, at)
	f := fault.As(p.Publish(t.Context(), batch, ""))
	require.Equal(t, fault.Unavailable, f.Code)
	require.Positive(t, f.RetryAfter)
	require.NoError(t, server.Restart())
	testkit.EventuallyOK(t, "publishing once the log is back", func() error { return p.Publish(t.Context(), batch, "") })
	got := idsOf(t, read(t, js, topology))
	for _, id := range eventtest.IDs(batch) {
		require.True(t, slices.Contains(got, id))
	}
}

func TestSenderGivesUp(t *testing.T) {
	t.Parallel()
	js, _, _ := setup(t)
	held := &heldPublisher{JetStream: js, reached: make(chan struct{}), release: make(chan struct{})}
	p := stream.NewPublisher(held)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { failed <- p.Publish(ctx, eventtest.Performance("orders", 5, at), "") }()
	testkit.Receive(t, "the message to be under way", held.reached)
	cancel()
	require.Equal(t, fault.Unavailable, fault.CodeOf(testkit.Receive(t, "the publish to end", failed)))
	close(held.release)
	testkit.Eventually(t, "the lane to be empty", func() bool { return stream.Waiting(p) == 0 && stream.Lanes(p) == 0 })
}

func TestTopology(t *testing.T) {
	t.Parallel()
	js, topology, _ := setup(t)

	t.Run("is the same after another reconcile", func(t *testing.T) {
		require.NoError(t, topology.Reconcile(t.Context(), js))
	})

	t.Run("takes nothing away from a log that has more, and lets its age grow", func(t *testing.T) {
		has := stream.Shape{Replicas: 1, MaxBytes: 1 << 28, MaxAge: topology.MaxAge}
		require.NoError(t, stream.SetShape(t.Context(), js, has))
		for _, told := range []stream.Topology{
			{MaxBytes: -1, MaxAge: 48 * time.Hour}, {Replicas: 1, MaxBytes: 1 << 20, MaxAge: time.Hour}, {MaxAge: time.Hour},
		} {
			told.AckWait, told.MaxAckPending = topology.AckWait, topology.MaxAckPending
			require.NoError(t, told.Reconcile(t.Context(), js))
			got, found, err := stream.ReadShape(t.Context(), js)
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, has, got)
		}
		topology.MaxAge = 900 * time.Hour
		require.NoError(t, topology.Reconcile(t.Context(), js))
		got, _, err := stream.ReadShape(t.Context(), js)
		require.NoError(t, err)
		require.Equal(t, stream.Shape{Replicas: 1, MaxBytes: 1 << 28, MaxAge: 900 * time.Hour}, got)
		s, err := js.Stream(t.Context(), stream.Name)
		require.NoError(t, err)
		require.Equal(t, jetstream.DiscardNew, s.CachedInfo().Config.Discard)
	})

	t.Run("refuses what makes no sense", func(t *testing.T) {
		require.Error(t, stream.Topology{}.Validate())
	})

	t.Run("the largest message still fits as a dead letter", func(t *testing.T) {
		s, err := js.Stream(t.Context(), stream.Name)
		require.NoError(t, err)
		require.LessOrEqual(t, int(s.CachedInfo().Config.MaxMsgSize), 1<<20-4<<10)
	})
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	for _, app := range []string{"orders", "my.app", "a.b.c", "x-1_2"} {
		for _, kind := range event.Kinds() {
			gotKind, gotApp := stream.Parse(stream.Subject(kind, app))
			require.Equal(t, kind, gotKind)
			require.Equal(t, app, gotApp)
			require.Equal(t, 2, strings.Count(stream.Subject(kind, app), "."))
			gotKind, gotApp = stream.Parse(stream.DeadSubject(kind, app))
			require.Equal(t, kind, gotKind)
			require.Equal(t, app, gotApp)
		}
	}
	kind, app := stream.Parse("other.usage.orders")
	require.Empty(t, kind)
	require.Empty(t, app)
}
