package e2e

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// TestRolesApart runs every role as processes of its own and sends 20,000
// events from four clients.
func TestRolesApart(t *testing.T) {
	a := newApart(t, 2, 2)
	addr := testkit.FreeAddr(t)
	query := newProcess(t, "query", []string{"NATS_URL=" + a.log.URL(), "DATABASE_URL=" + a.database.DSN()},
		"query", "--auth", "dev", "--listen", addr, "--ops-listen", "none")
	query.start()

	const clients, batches, size = 4, 25, 200
	l := &ledger{}
	var g errgroup.Group
	for range clients {
		s := newSender(t, "apart", l, a.urls...)
		g.Go(func() error {
			for i := range batches {
				at := time.Now().UTC().Add(-time.Minute).Truncate(time.Microsecond)
				b := eventtest.Performance("apart", size, at)
				if i%2 == 1 {
					b = eventtest.Usage("apart", size, at)
				}
				if err := s.deliver(t.Context(), b); err != nil {
					return err
				}
				l.add(eventtest.IDs(b))
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	require.Len(t, l.ids(), clients*batches*size)
	a.requireKept(l, "apart")

	t.Run("and the query role counts them", func(t *testing.T) {
		awaitReady(t, "http://"+addr)
		var answer struct {
			Metrics struct {
				TotalRequests int `json:"total_requests"`
			} `json:"metrics"`
		}
		getJSON(t, "http://"+addr+"/api/v1/metrics/performance?app=apart", &answer)
		require.Equal(t, clients*(batches+1)/2*size, answer.Metrics.TotalRequests)
	})

	t.Run("and every process ends in order when asked", func(*testing.T) {
		for _, p := range append(append(a.ingest, a.writer...), query) {
			p.stop()
		}
	})
}

// TestStoppedInOrderUnderLoad restarts every role while a client sends.
func TestStoppedInOrderUnderLoad(t *testing.T) {
	a := newApart(t, 2, 1)
	l := &ledger{}
	stop := make(chan struct{})
	patience, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var g errgroup.Group
	for i := range 2 {
		s := newSender(t, "rolling", l, a.urls...)
		g.Go(func() error { return s.run(rand.New(rand.NewPCG(1, uint64(i))), stop, patience) }) // repeatable
	}
	for _, p := range append(a.ingest, a.writer...) {
		before := len(l.ids())
		testkit.Eventually(t, "some more events to be accepted", func() bool { return len(l.ids()) > before })
		p.stop()
		p.start()
	}
	close(stop)
	require.NoError(t, g.Wait())
	a.requireKept(l, "rolling")
}

// TestReadinessInAnOutage stops the database: the writer must say so, and ingest
// must not care.
func TestReadinessInAnOutage(t *testing.T) {
	a := newApart(t, 1, 1)
	awaitReady(t, a.writers[0])
	require.NoError(t, a.database.Stop(t.Context()))
	l := &ledger{}
	batch := eventtest.Usage("outage", 10, recent())
	require.NoError(t, newSender(t, "outage", l, a.urls...).deliver(t.Context(), batch))
	l.add(eventtest.IDs(batch))
	testkit.Eventually(t, "the writer to say why it is not ready", func() bool {
		status, body := readiness(t, a.writers[0])
		return status == http.StatusServiceUnavailable && strings.Contains(body, "the database does not store")
	})
	status, _ := readiness(t, a.direct[0])
	require.Equal(t, http.StatusOK, status, "ingest knows no database")
	require.NoError(t, a.database.Restart(t.Context()))
	awaitReady(t, a.writers[0])
	a.requireKept(l, "outage")
}

func readiness(t *testing.T, base string) (status int, body string) {
	t.Helper()
	client := &http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Get(base + "/ready")
	require.NoError(t, err)
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, string(data)
}

// TestStandaloneKeepsItsData stops a standalone in order, starts it again and
// finds everything, also what was accepted a moment before.
func TestStandaloneKeepsItsData(t *testing.T) {
	a := newAlone(t)
	l := &ledger{}
	s := newSender(t, "kept", l, a.direct)
	for range 3 {
		for _, b := range []*event.Batch{eventtest.Performance("kept", 50, recent()), eventtest.Usage("kept", 50, recent())} {
			require.NoError(t, s.deliver(t.Context(), b))
			l.add(eventtest.IDs(b))
		}
		a.stop()
		a.start()
		a.requireKept(t, l, "kept")
	}
}

func recent() time.Time { return time.Now().UTC().Add(-time.Minute).Truncate(time.Microsecond) }

func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	client := &http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Get(url)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }() // read to its end or not
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.NoError(t, json.NewDecoder(resp.Body).Decode(into))
}
