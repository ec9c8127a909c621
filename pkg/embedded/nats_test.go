package embedded

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

const testSubject = "embedded.test"

func newStream(t *testing.T, conn *nats.Conn, replicas int) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	_, err = js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{
		Name: "EMBEDDED", Subjects: []string{testSubject}, Storage: jetstream.FileStorage, Replicas: replicas,
	})
	require.NoError(t, err)
	return js
}

func storedMessages(t *testing.T, conn *nats.Conn) uint64 {
	t.Helper()
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), "EMBEDDED")
	require.NoError(t, err)
	return stream.CachedInfo().State.Msgs
}

func connectNATS(t *testing.T, n *NATS, opts ...nats.Option) *nats.Conn {
	t.Helper()
	conn, err := n.Connect(opts...)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return conn
}

func TestNATS(t *testing.T) {
	t.Parallel()
	t.Run("keeps its streams between runs", func(t *testing.T) {
		dir := t.TempDir()
		first := startNATS(t, NATSConfig{DataDir: dir})
		js := newStream(t, connectNATS(t, first), 1)
		_, err := js.Publish(t.Context(), testSubject, []byte("kept"))
		require.NoError(t, err)
		require.NoError(t, first.Close())

		second := startNATS(t, NATSConfig{DataDir: dir})
		require.EqualValues(t, 1, storedMessages(t, connectNATS(t, second)))
	})
	t.Run("syncs before it acknowledges unless told otherwise", func(t *testing.T) {
		durable := startNATS(t, NATSConfig{DataDir: t.TempDir()})
		require.True(t, durable.server.JetStreamConfig().SyncAlways)
		relaxed := startNATS(t, NATSConfig{DataDir: t.TempDir(), RelaxedSync: true})
		require.False(t, relaxed.server.JetStreamConfig().SyncAlways)
	})
	t.Run("keeps to the given store size", func(t *testing.T) {
		n := startNATS(t, NATSConfig{DataDir: t.TempDir(), MaxStore: 64 << 20})
		require.EqualValues(t, 64<<20, n.server.JetStreamConfig().MaxStore)
	})
	t.Run("takes messages of 8 MiB", func(t *testing.T) {
		conn := connectNATS(t, startNATS(t, NATSConfig{DataDir: t.TempDir()}))
		js := newStream(t, conn, 1)
		_, err := js.Publish(t.Context(), testSubject, make([]byte, 8<<20))
		require.NoError(t, err)
		require.EqualValues(t, 8<<20, conn.MaxPayload())
	})
	t.Run("a directory in use is refused", func(t *testing.T) {
		dir := t.TempDir()
		startNATS(t, NATSConfig{DataDir: dir})
		_, err := StartNATS(NATSConfig{DataDir: dir}, quiet())
		require.ErrorIs(t, err, ErrInUse)
	})
	t.Run("a port in use is an error that says so", func(t *testing.T) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, taken.Close()) })
		dir := t.TempDir()
		_, err = StartNATS(NATSConfig{DataDir: dir, Port: taken.Addr().(*net.TCPAddr).Port}, quiet())
		require.ErrorContains(t, err, "address already in use")
		startNATS(t, NATSConfig{DataDir: dir}) // and the directory is free
	})
	t.Run("closing twice is fine, restarting after is not", func(t *testing.T) {
		n := startNATS(t, NATSConfig{DataDir: t.TempDir()})
		require.NoError(t, n.Close())
		require.NoError(t, n.Close())
		require.Error(t, n.Restart())
	})
	t.Run("no data directory is an error", func(t *testing.T) {
		_, err := StartNATS(NATSConfig{}, quiet())
		require.Error(t, err)
	})
}

func TestNATSAccess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := startNATS(t, NATSConfig{DataDir: dir})

	t.Run("other processes connect with the URL in the file", func(t *testing.T) {
		content, err := os.ReadFile(filepath.Join(dir, "nats.url"))
		require.NoError(t, err)
		url := strings.TrimSpace(string(content))
		require.Equal(t, n.URL(), url)
		conn, err := nats.Connect(url)
		require.NoError(t, err)
		conn.Close()
	})
	t.Run("nobody connects without the password", func(t *testing.T) {
		_, address, _ := strings.Cut(n.URL(), "@")
		_, err := nats.Connect("nats://" + address)
		require.ErrorIs(t, err, nats.ErrAuthorization)
	})
	t.Run("only loopback listens", func(t *testing.T) {
		require.True(t, n.server.Addr().(*net.TCPAddr).IP.IsLoopback())
	})
	t.Run("its secrets are private", func(t *testing.T) {
		requirePrivate(t, filepath.Join(dir, "nats.url"))
		requirePrivate(t, filepath.Join(dir, "nats.password"))
	})
	t.Run("the URL file goes with the server", func(t *testing.T) {
		require.NoError(t, n.Close())
		require.NoFileExists(t, filepath.Join(dir, "nats.url"))
	})
}

func TestNATSOutage(t *testing.T) {
	t.Parallel()
	n := startNATS(t, NATSConfig{DataDir: t.TempDir()})
	reconnected := make(chan struct{}, 4)
	options := []nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(10 * time.Millisecond),
		nats.ReconnectHandler(func(*nats.Conn) { reconnected <- struct{}{} }),
	}
	inProcess := connectNATS(t, n, options...)
	overTCP, err := nats.Connect(n.URL(), options...)
	require.NoError(t, err)
	t.Cleanup(overTCP.Close)
	_, err = newStream(t, inProcess, 1).Publish(t.Context(), testSubject, nil)
	require.NoError(t, err)
	url := n.URL()

	n.Stop()
	_, err = n.Connect()
	require.ErrorIs(t, err, errNATSStopped)
	require.NoError(t, n.Restart())

	require.Equal(t, url, n.URL(), "the port is kept")
	for range 2 {
		<-reconnected
	}
	require.EqualValues(t, 1, storedMessages(t, inProcess))
	require.EqualValues(t, 1, storedMessages(t, overTCP))
}
