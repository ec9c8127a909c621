package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// ledger is what senders know was accepted.
type ledger struct {
	mu       sync.Mutex
	accepted []uuid.UUID
	attempts int
}

func (l *ledger) add(ids []uuid.UUID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted = append(l.accepted, ids...)
}

func (l *ledger) ids() []uuid.UUID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return sorted(slices.Clone(l.accepted))
}

func sorted(ids []uuid.UUID) []uuid.UUID {
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

// sender sends batches until each is answered 202, to whichever of its addresses.
type sender struct {
	t       *testing.T
	app     string
	ledger  *ledger
	urls    []string
	http    *http.Client
	pace    time.Duration
	targets int
}

func newSender(t *testing.T, app string, l *ledger, urls ...string) *sender {
	transport := &http.Transport{MaxIdleConnsPerHost: 2}
	t.Cleanup(transport.CloseIdleConnections)
	return &sender{t: t, app: app, ledger: l, urls: urls, http: &http.Client{Transport: transport, Timeout: 4 * time.Second}, pace: 40 * time.Millisecond}
}

// run sends batches of random size and kind until stop is closed. It ends after
// the answer to the last one: patience is how long it tries for that.
func (s *sender) run(rnd *rand.Rand, stop <-chan struct{}, patience context.Context) error {
	tick := time.NewTicker(s.pace)
	defer tick.Stop()
	var last *event.Batch
	for {
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
		batch := last
		if last == nil || rnd.IntN(20) > 0 { // now and then a batch comes again, as if its answer was lost
			batch = s.batch(rnd)
		}
		if err := s.deliver(patience, batch); err != nil {
			return err
		}
		if batch != last {
			s.ledger.add(eventtest.IDs(batch))
		}
		last = batch
	}
}

func (s *sender) batch(rnd *rand.Rand) *event.Batch {
	at := time.Now().UTC().Add(-time.Duration(rnd.IntN(90)) * time.Minute).Truncate(time.Microsecond)
	n := 1 + rnd.IntN(60)
	if rnd.IntN(2) == 0 {
		return eventtest.Performance(s.app, n, at)
	}
	return eventtest.Usage(s.app, n, at)
}

// deliver sends a batch until it is accepted as a whole.
func (s *sender) deliver(ctx context.Context, b *event.Batch) error {
	path, events := "/api/v1/metrics/performance-events", any(b.Performance)
	if b.Kind == event.KindUsage {
		path, events = "/api/v1/metrics/usage-events", b.Usage
	}
	body, err := json.Marshal(map[string]any{"events": events})
	if err != nil {
		return err
	}
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for {
		s.targets++
		s.ledger.mu.Lock()
		s.ledger.attempts++
		s.ledger.mu.Unlock()
		err := s.post(ctx, s.urls[s.targets%len(s.urls)]+path, body, b.Len())
		if err == nil || ctx.Err() != nil {
			return err
		}
		if _, final := errors.AsType[refusal](err); final {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("gave up sending: %w", err)
		case <-pause.C:
		}
	}
}

// refusal is an answer that no retry changes: a bug.
type refusal struct{ error }

func (s *sender) post(ctx context.Context, url string, body []byte, events int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return refusal{err}
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(resp.Body)
	if closeErr := resp.Body.Close(); err == nil {
		err = closeErr
	}
	switch {
	case resp.StatusCode == http.StatusAccepted && err == nil:
		var a struct {
			EventsReceived int `json:"events_received"`
		}
		if err := json.Unmarshal(answer, &a); err != nil || a.EventsReceived != events {
			return refusal{fmt.Errorf("%d events sent, answered %s", events, answer)}
		}
		return nil
	case err != nil || resp.StatusCode >= 500:
		return fmt.Errorf("%s: %d %s", url, resp.StatusCode, answer)
	}
	return refusal{fmt.Errorf("%s: %d %s", url, resp.StatusCode, answer)}
}

// stored returns the ids of all rows of the apps, an id for each time it is there.
func stored(t *testing.T, dsn string, apps ...string) []uuid.UUID {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	rows, err := conn.Query(t.Context(), `
SELECT id FROM metrics.performance_metrics WHERE app = ANY ($1) UNION ALL SELECT id FROM metrics.usage_events WHERE app = ANY ($1)`, apps)
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	return sorted(ids)
}

// requireStored waits until as many rows are there as were accepted, then
// requires that they are the same, each once.
func requireStored(t *testing.T, dsn string, l *ledger, apps ...string) {
	t.Helper()
	want := l.ids()
	require.Len(t, slices.Compact(slices.Clone(want)), len(want), "the ledger names an id once")
	testkit.Eventually(t, fmt.Sprintf("%d events to be stored", len(want)), func() bool {
		return len(stored(t, dsn, apps...)) >= len(want)
	})
	got := stored(t, dsn, apps...)
	if !slices.Equal(want, got) {
		missing, extra := difference(want, got), difference(got, want)
		require.Failf(t, "the ledger and the tables differ", "%d accepted, %d stored, %d missing %v, %d not accepted %v, %d doubled",
			len(want), len(got), len(missing), head(missing), len(extra), head(extra), len(got)-len(slices.Compact(slices.Clone(got))))
	}
}

// difference returns what is in a and not in b.
func difference(a, b []uuid.UUID) (only []uuid.UUID) {
	in := make(map[uuid.UUID]bool, len(b))
	for _, id := range b {
		in[id] = true
	}
	for _, id := range a {
		if !in[id] {
			only = append(only, id)
		}
	}
	return only
}

func head(ids []uuid.UUID) []uuid.UUID { return ids[:min(len(ids), 5)] }
