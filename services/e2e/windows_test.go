package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services/ingest"
	"github.com/lakepulse/lakepulse/services/writer"
)

// publisher is what ingest publishes with.
type publisher interface {
	Publish(ctx context.Context, b *event.Batch, correlation string) error
}

// startIngest serves ingest, in this process, over a publisher.
func startIngest(t *testing.T, pub publisher) *httptest.Server {
	t.Helper()
	cfg := ingest.DefaultConfig()
	cfg.Keyless = true
	s, err := ingest.New(ingest.Params{
		Config: cfg, Publisher: pub, Reports: func(context.Context, stream.LedgerReport) error { return nil }, Now: time.Now, Log: testkit.Logger(t),
	})
	require.NoError(t, err)
	dev := auth.DefaultConfig()
	dev.Mode = auth.ModeDev
	who, err := auth.New(auth.Params{Config: dev, Logger: testkit.Logger(t), Clock: time.Now})
	require.NoError(t, err)
	server := httptest.NewServer(httpapi.NewHandler(httpapi.HandlerParams{Routes: s.Routes(), Auth: who, Log: testkit.Logger(t)}))
	t.Cleanup(server.Close)
	return server
}

func startWriter(t *testing.T, js jetstream.JetStream, dsn string, topology stream.Topology) {
	t.Helper()
	db := postgres.DefaultConfig()
	db.URL = dsn
	pool, err := postgres.Open(t.Context(), db)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	startWriterOn(t, js, pool, topology)
}

func startWriterOn(t *testing.T, js jetstream.JetStream, pool *pgxpool.Pool, topology stream.Topology) {
	t.Helper()
	cfg := writer.DefaultConfig()
	cfg.Topology = topology
	w, err := writer.New(writer.Params{Config: cfg, JS: js, Pool: pool, Now: time.Now, Log: testkit.Logger(t), CodeVersion: "test"})
	require.NoError(t, err)
	w.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, w.Stop(ctx))
	})
}

// silent publishes and then loses the one who asked: nobody is answered.
type silent struct {
	publisher
	once sync.Once
	lose context.CancelFunc
}

func (s *silent) Publish(ctx context.Context, b *event.Batch, correlation string) error {
	if err := s.publisher.Publish(ctx, b, correlation); err != nil {
		return err
	}
	s.once.Do(func() { s.lose(); <-ctx.Done() })
	return nil
}

func TestKilledBetweenPublishAndAnswer(t *testing.T) {
	t.Parallel()
	js := connect(t, testkit.NATS(t).URL())
	topology := stream.DefaultTopology()
	require.NoError(t, topology.Reconcile(t.Context(), js))
	dsn := testkit.Database(t)
	startWriter(t, js, dsn, topology)
	attempt, lose := context.WithCancel(t.Context())
	server := startIngest(t, &silent{publisher: stream.NewPublisher(js), lose: lose})

	l := &ledger{}
	s := newSender(t, "orders", l, server.URL)
	batch := eventtest.Performance("orders", 50, recent())
	require.ErrorIs(t, s.deliver(attempt, batch), context.Canceled, "the events are in the log, and the sender does not know")
	reach, err := stream.ReadReach(t.Context(), js)
	require.NoError(t, err)
	require.EqualValues(t, 1, reach.Messages)

	require.NoError(t, s.deliver(t.Context(), batch)) // as a sender does
	l.add(eventtest.IDs(batch))
	awaitMessages(t, js)
	requireStored(t, dsn, l, "orders")
}

// awaitMessages waits until the writers have acknowledged everything.
func awaitMessages(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	testkit.Eventually(t, "every message to be acknowledged", func() bool {
		p, err := stream.ReadPosition(t.Context(), js, time.Now)
		return err == nil && p.Waiting == 0
	})
}

// post sends a batch once and returns the answer's status and Retry-After.
func post(t *testing.T, url string, b *event.Batch) (status int, retryAfter string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"events": b.Performance})
	require.NoError(t, err)
	client := &http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Post(url+"/api/v1/metrics/performance-events", "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, resp.Header.Get("Retry-After")
}

func TestLogAwayIsAnswered503(t *testing.T) {
	t.Parallel()
	log := testkit.NATS(t)
	js := connect(t, log.URL())
	topology := stream.DefaultTopology()
	require.NoError(t, topology.Reconcile(t.Context(), js))
	server := startIngest(t, stream.NewPublisher(js))
	log.Stop()
	status, retry := post(t, server.URL, eventtest.Performance("orders", 5, recent()))
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.NotEmpty(t, retry)
	require.NoError(t, log.Restart())
	testkit.Eventually(t, "ingest to accept again, by itself", func() bool {
		status, _ := post(t, server.URL, eventtest.Performance("orders", 5, recent()))
		return status == http.StatusAccepted
	})
}

func TestFullLogIsAnswered503(t *testing.T) {
	t.Parallel()
	js := connect(t, testkit.NATS(t).URL())
	topology := stream.DefaultTopology()
	topology.MaxBytes = 64 << 10
	require.NoError(t, topology.Reconcile(t.Context(), js))
	server := startIngest(t, stream.NewPublisher(js))
	dsn := testkit.Database(t)
	l := &ledger{}
	for full := false; !full; {
		batch := eventtest.Performance("orders", 100, recent())
		status, retry := post(t, server.URL, batch)
		if full = status != http.StatusAccepted; full {
			require.Equal(t, http.StatusServiceUnavailable, status)
			require.NotEmpty(t, retry)
			continue
		}
		l.add(eventtest.IDs(batch))
	}
	require.NotEmpty(t, l.ids())
	startWriter(t, js, dsn, topology)
	awaitMessages(t, js)
	requireStored(t, dsn, l, "orders")
}

func TestDatabaseGoneWhileIngestAccepts(t *testing.T) {
	t.Parallel()
	js := connect(t, testkit.NATS(t).URL())
	topology := stream.DefaultTopology()
	require.NoError(t, topology.Reconcile(t.Context(), js))
	dsn := testkit.Database(t)
	proxy, through := testkit.ProxyURL(t, dsn)
	proxy.Cut()
	startWriter(t, js, through, topology)
	server := startIngest(t, stream.NewPublisher(js))
	l := &ledger{}
	for range 20 {
		batch := eventtest.Performance("orders", 20, recent())
		status, _ := post(t, server.URL, batch)
		require.Equal(t, http.StatusAccepted, status, "ingest knows no database")
		l.add(eventtest.IDs(batch))
	}
	proxy.Heal()
	awaitMessages(t, js)
	requireStored(t, dsn, l, "orders")
	n, err := stream.CountDead(t.Context(), js)
	require.NoError(t, err)
	require.Zero(t, n)
}

// TestClusterLosesOneServerAtATime stops and restarts each of three servers,
// while two clients send.
func TestClusterLosesOneServerAtATime(t *testing.T) {
	t.Parallel()
	cluster := testkit.NATSCluster(t)
	js := connect(t, cluster.URL())
	topology := stream.DefaultTopology()
	topology.Replicas, topology.AckWait = 3, ackWait
	testkit.EventuallyOK(t, "the streams to be made", func() error { return topology.Reconcile(t.Context(), js) })
	dsn := testkit.Database(t)
	startWriter(t, connect(t, cluster.URL()), dsn, topology)
	server := startIngest(t, stream.NewPublisher(js))

	l := &ledger{}
	stop := make(chan struct{})
	patience, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var g errgroup.Group
	for i := range 2 {
		s := newSender(t, "cluster", l, server.URL)
		s.http.Timeout = 20 * time.Second                                                        // an election may take its time
		g.Go(func() error { return s.run(rand.New(rand.NewPCG(3, uint64(i))), stop, patience) }) // repeatable
	}
	for _, node := range cluster.Nodes {
		more(t, l)
		node.Stop()
		more(t, l)
		require.NoError(t, node.Restart())
		require.NoError(t, cluster.AwaitReady(time.Minute))
		awaitReplicas(t, js)
	}
	close(stop)
	require.NoError(t, g.Wait())
	awaitMessages(t, js)
	requireStored(t, dsn, l, "cluster")
}

// more waits until some batches more are accepted.
func more(t *testing.T, l *ledger) {
	t.Helper()
	before := len(l.ids())
	testkit.Eventually(t, "more events to be accepted", func() bool { return len(l.ids()) > before+100 })
}

// awaitReplicas waits until every server has all of the log again: before that,
// another one must not be taken away.
func awaitReplicas(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	testkit.Eventually(t, "the replicas to be up to date", func() bool {
		s, err := js.Stream(t.Context(), stream.Name)
		if err != nil || s.CachedInfo().Cluster == nil || s.CachedInfo().Cluster.Leader == "" {
			return false
		}
		current := 0
		for _, r := range s.CachedInfo().Cluster.Replicas {
			if r.Current && !r.Offline {
				current++
			}
		}
		return current == 2
	})
}
