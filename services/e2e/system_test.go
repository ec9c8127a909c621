package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/embedded"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// apart is the roles as processes of their own, over one log and one database.
// Each role reaches what it needs by way of a proxy of its own.
type apart struct {
	t        *testing.T
	log      *embedded.NATS
	database *embedded.Postgres
	ingest   []*process
	writer   []*process
	urls     []string // of the ingests, through proxies
	direct   []string // of the ingests
	writers  []string // the writers' own addresses
	proxies  map[string]*testkit.Proxy
}

const ackWait = 2 * time.Second // of dead writers' messages: tests should not wait for half a minute

func newApart(t *testing.T, ingests, writers int) *apart {
	t.Helper()
	a := &apart{t: t, log: testkit.NATS(t), database: crashablePostgres(t), proxies: map[string]*testkit.Proxy{}}
	for i := range ingests {
		name := fmt.Sprintf("ingest%d", i+1)
		addr := testkit.FreeAddr(t)
		natsURL := a.via(name+" to nats", a.log.URL())
		a.ingest = append(a.ingest, newProcess(t, name, []string{"NATS_URL=" + natsURL},
			"ingest", "--auth", "dev", "--listen", addr, "--ops-listen", "none"))
		a.direct = append(a.direct, "http://"+addr)
		a.urls = append(a.urls, a.via("clients to "+name, "http://"+addr))
	}
	for i := range writers {
		name, addr := fmt.Sprintf("writer%d", i+1), testkit.FreeAddr(t)
		a.writers = append(a.writers, "http://"+addr)
		a.writer = append(a.writer, newProcess(t, name,
			[]string{"NATS_URL=" + a.via(name+" to nats", a.log.URL()), "DATABASE_URL=" + a.via(name+" to postgres", a.database.DSN())},
			"writer", "--listen", addr, "--ops-listen", "none", "--writer-ack-wait", ackWait.String()))
	}
	for _, p := range append(a.ingest, a.writer...) {
		p.start()
	}
	for _, u := range a.direct {
		awaitReady(t, u)
	}
	return a
}

func (a *apart) via(name, target string) string {
	proxy, through := testkit.ProxyURL(a.t, target)
	a.proxies[name] = proxy
	return through
}

// requireKept waits until nothing is under way, then compares.
func (a *apart) requireKept(l *ledger, apps ...string) {
	a.t.Helper()
	awaitStored(a.t, a.log.URL())
	requireStored(a.t, a.database.DSN(), l, apps...)
}

// crashablePostgres starts a server whose commits survive its being killed.
func crashablePostgres(t *testing.T) *embedded.Postgres {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	server, err := embedded.StartPostgres(ctx, embedded.PostgresConfig{
		DataDir: testkit.DataDir(t), Fast: true, Settings: map[string]string{"synchronous_commit": "on"},
	}, testkit.Logger(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close(context.Background())) })
	require.NoError(t, postgres.MigrateUp(ctx, server.DSN()))
	return server
}

// alone is a standalone in a process.
type alone struct {
	*process
	dir     string
	direct  string
	url     string // through the proxy
	proxies map[string]*testkit.Proxy
}

func newAlone(t *testing.T, extra ...string) *alone {
	t.Helper()
	addr := testkit.FreeAddr(t)
	a := &alone{dir: testkit.DataDir(t), direct: "http://" + addr}
	proxy, through := testkit.ProxyURL(t, a.direct)
	a.url, a.proxies = through, map[string]*testkit.Proxy{"clients to standalone": proxy}
	args := append([]string{"standalone", "--listen", addr, "--ops-listen", "none", "--data-dir", a.dir, "--writer-ack-wait", ackWait.String()}, extra...)
	a.process = newProcess(t, "standalone", nil, args...)
	a.supervised = true // a database that is killed while it starts ends the standalone
	a.start()
	awaitReady(t, a.direct)
	return a
}

func (a *alone) natsURL(t *testing.T) string { return readURL(t, a.dir, "nats.url") }
func (a *alone) dsn(t *testing.T) string     { return readURL(t, a.dir, "postgres.url") }

func readURL(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return strings.TrimSpace(string(data))
}

func (a *alone) requireKept(t *testing.T, l *ledger, apps ...string) {
	t.Helper()
	awaitReady(t, a.direct)
	awaitStored(t, a.natsURL(t))
	requireStored(t, a.dsn(t), l, apps...)
}

func awaitReady(t *testing.T, base string) {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	testkit.EventuallyOK(t, base+" to be ready", func() error {
		resp, err := client.Get(base + "/ready")
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }() // nothing is read from it
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("not ready: %d", resp.StatusCode)
		}
		return nil
	})
}

// awaitStored waits until the writers have acknowledged every message.
func awaitStored(t *testing.T, natsURL string) {
	t.Helper()
	js := connect(t, natsURL)
	defer js.Conn().Close()
	testkit.EventuallyOK(t, "every message to be acknowledged", func() error {
		p, err := stream.ReadPosition(t.Context(), js, time.Now)
		if err != nil {
			return err
		}
		if p.Waiting > 0 {
			return fmt.Errorf("%d messages wait", p.Waiting)
		}
		return nil
	})
}

func connect(t *testing.T, natsURL string) jetstream.JetStream {
	t.Helper()
	_, err := url.Parse(natsURL)
	require.NoError(t, err)
	nc, err := stream.Connect(stream.ConnectConfig{URL: natsURL, Name: t.Name()}, testkit.Logger(t), nats.Timeout(5*time.Second))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

func execSQL(t *testing.T, dsn, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}
