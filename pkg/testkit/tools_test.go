package testkit_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestOwnPostgres(t *testing.T) {
	server := testkit.OwnPostgres(t)
	require.True(t, hasSchema(t, server.DSN()))
	require.NoError(t, server.Kill())
	require.NoError(t, server.Restart(t.Context()))
	require.True(t, hasSchema(t, server.DSN()))
}

func TestNATS(t *testing.T) {
	conn, err := testkit.NATS(t, testkit.SyncAlways()).Connect()
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	info, err := js.AccountInfo(t.Context())
	require.NoError(t, err)
	require.Zero(t, info.Streams)
}

func TestNATSCluster(t *testing.T) {
	cluster := testkit.NATSCluster(t)
	conn, err := cluster.Connect(nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "R3", Subjects: []string{"cluster.test"}, Replicas: 3})
	require.NoError(t, err)

	published := uint64(0)
	publish := func() {
		published++
		id := jetstream.WithMsgID(strconv.FormatUint(published, 10)) // a repeated publish stores no second message
		testkit.EventuallyOK(t, "a message is acknowledged", func() error {
			_, err := js.Publish(t.Context(), "cluster.test", nil, id)
			return err
		})
	}
	publish()
	for i, node := range cluster.Nodes {
		node.Stop()
		publish() // two of three are a majority
		require.NoError(t, node.Restart(), "node %d", i)
		require.NoError(t, cluster.AwaitReady(time.Minute))
		publish()
	}
	info, err := stream.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, published, info.State.Msgs)
}

func TestDataDir(t *testing.T) {
	var dir string
	t.Run("inner", func(t *testing.T) {
		dir = testkit.DataDir(t)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	})
	require.NoDirExists(t, dir)
}

func TestClock(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := testkit.NewClock(start)
	require.Equal(t, start, clock.Now())
	require.Equal(t, start.Add(time.Hour), clock.Advance(time.Hour))
	clock.Set(start.Add(-time.Hour))
	require.Equal(t, start.Add(-time.Hour), clock.Now())

	var advancing sync.WaitGroup
	for range 8 {
		advancing.Go(func() { clock.Advance(time.Minute); clock.Now() })
	}
	advancing.Wait()
	require.Equal(t, start.Add(-52*time.Minute), clock.Now())
}

func TestLoggerIsSilentAfterItsTest(t *testing.T) {
	var logger *slog.Logger
	t.Run("inner", func(t *testing.T) {
		logger = testkit.Logger(t)
		logger.Info("while it runs")
	})
	require.NotPanics(t, func() { logger.Info("after its end") })
}

func TestWaiting(t *testing.T) {
	t.Run("a condition that comes true", func(t *testing.T) {
		tries := 0
		testkit.Eventually(t, "third try", func() bool { tries++; return tries == 3 })
		require.Equal(t, 3, tries)
	})
	t.Run("an action that succeeds", func(t *testing.T) {
		tries := 0
		testkit.EventuallyOK(t, "second try", func() error {
			if tries++; tries < 2 {
				return errors.New("not yet")
			}
			return nil
		})
	})
	t.Run("a value that arrives", func(t *testing.T) {
		tries := 0
		testkit.EventuallyEqual(t, []int{2}, func() []int { tries++; return []int{tries} })
	})
	t.Run("a value on a channel", func(t *testing.T) {
		ch := make(chan int, 1)
		ch <- 7
		require.Equal(t, 7, testkit.Receive(t, "seven", ch))
		close(ch)
		require.Zero(t, testkit.Receive(t, "the end", ch))
	})
}

func TestFreeAddr(t *testing.T) {
	listener, err := net.Listen("tcp", testkit.FreeAddr(t))
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	require.Positive(t, testkit.FreePort(t))
}

func TestProxyBeforeServers(t *testing.T) {
	t.Run("PostgreSQL", func(t *testing.T) {
		proxy, dsn := testkit.ProxyURL(t, testkit.Database(t))
		conn := connect(t, dsn)
		require.NoError(t, conn.Ping(t.Context()))
		require.Equal(t, 1, proxy.Connections())
		proxy.Cut()
		require.Error(t, conn.Ping(t.Context()))
		proxy.Heal()
		require.NoError(t, connect(t, dsn).Ping(context.Background()))
	})
}
