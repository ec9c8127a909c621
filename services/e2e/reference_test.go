package e2e

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services/aggregate"
	"github.com/lakepulse/lakepulse/services/writer"
)

// TestReference lets ninety days pass and holds every number of every answer
// against plain SQL over all of the rows.
func TestReference(t *testing.T) {
	t.Parallel()
	const seed = 20260118
	start := time.Date(2026, 1, 1, 0, 30, 0, 0, time.UTC)
	a := newArchive(t, testkit.Database(t), start, seed)
	const days = 92
	a.history(days)
	now := start.Truncate(24*time.Hour).AddDate(0, 0, days).Add(14*time.Hour + 20*time.Minute + 30*time.Second)
	a.today(now)

	sources := map[string]int{}
	for i, q := range a.questions(now, 60) {
		t.Run(fmt.Sprintf("range %d, %s to %s, %+v", i, q.start.Format(time.RFC3339), q.end.Format(time.RFC3339), q), func(t *testing.T) {
			b := *a
			b.t = t
			p := b.holdPerformance(q)
			sources[fmt.Sprintf("percentiles %s", p.Percentiles.Kind)]++
			sources[fmt.Sprintf("alignment %s", p.Alignment)]++
			sources[fmt.Sprintf("raw %t aggregated %t", p.RawFrom != nil, p.AggregatedFrom != nil)]++
			b.holdUsage(q)
			b.holdSeries(q, "")
			b.holdSeries(q, "daily")
			if q.endpoint != "" {
				b.holdEndpoint(q)
			}
		})
	}
	for _, kind := range []string{"percentiles exact", "percentiles bounded", "alignment none", "alignment hour", "raw true aggregated true",
		"raw true aggregated false", "raw false aggregated true"} {
		require.NotZero(t, sources[kind], "no range was answered with %s: %v", kind, sources)
	}
}

// questions are ranges of every sort, narrowed in every way.
func (a *archive) questions(now time.Time, n int) []question {
	r := a.random
	oldest := now.Add(-90 * 24 * time.Hour).Truncate(time.Hour)
	moment := func(from time.Time) time.Time {
		return from.Add(time.Duration(r.Int64N(int64(now.Sub(from))))).Truncate(time.Millisecond)
	}
	list := make([]question, n)
	for i := range list {
		var q question
		switch i % 10 {
		case 0: // all there is
			q.start, q.end = now.Add(-90*24*time.Hour), now
		case 1: // a week, ending now
			q.start, q.end = now.Add(-7*24*time.Hour), now
		case 2: // a day, ending now
			q.start, q.end = now.Add(-24*time.Hour), now
		case 3: // across the purge line, both edges anywhere
			q.start, q.end = now.Add(-time.Duration(8+r.IntN(60))*24*time.Hour-time.Duration(r.IntN(3600))*time.Second), moment(now.Add(-6*24*time.Hour))
		case 4: // one hour that only aggregates know
			q.start = moment(oldest.Add(24 * time.Hour)).Add(-8 * 24 * time.Hour).Truncate(time.Hour)
			q.start = laterOf(q.start, oldest)
			q.end = q.start.Add(time.Hour)
		case 5: // minutes out of the raw window
			q.start = moment(now.Add(-6 * 24 * time.Hour))
			q.end = q.start.Add(time.Duration(1+r.IntN(90)) * time.Minute)
		case 6: // whole days
			q.start = moment(oldest.Add(24 * time.Hour)).Truncate(24 * time.Hour)
			q.end = earlierOf(q.start.Add(time.Duration(1+r.IntN(30))*24*time.Hour), now)
		case 7: // part of an hour below the purge line
			q.start = laterOf(oldest, moment(oldest.Add(24*time.Hour)).Add(-10*24*time.Hour))
			q.end = q.start.Add(time.Duration(1+r.IntN(3000)) * time.Second)
		case 8: // between two moments of the raw window
			q.start = moment(now.Add(-7*24*time.Hour + time.Hour))
			q.end = moment(q.start)
		default: // anything
			q.start = moment(oldest)
			q.end = moment(q.start)
		}
		if !q.start.Before(q.end) {
			q.end = q.start.Add(time.Second)
		}
		q.zone = []string{"UTC", "UTC", "Europe/Berlin", "America/New_York"}[r.IntN(4)]
		q.exact, q.anonymous = r.IntN(4) == 0, r.IntN(3) == 0
		if r.IntN(3) == 0 {
			q.app = archiveApps[r.IntN(len(archiveApps))]
		}
		if r.IntN(3) == 0 {
			q.endpoint, q.method = archiveEndpoints[r.IntN(len(archiveEndpoints))], archiveMethods[r.IntN(2)]
		}
		if r.IntN(4) == 0 {
			q.eventType = archiveTypes[r.IntN(len(archiveTypes))]
		}
		list[i] = q
	}
	return list
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlierOf(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// TestReferenceWhileEverythingMoves reads the same range over and over while two
// writers store rows of open and of closed hours, the aggregator rolls them up,
// and the purge line moves through the range. No total ever drops, none is ever
// more than what was sent or less than what was stored when it was asked for.
func TestReferenceWhileEverythingMoves(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 2, 0, 30, 0, 0, time.UTC)
	dsn := testkit.Database(t)
	a := newArchive(t, dsn, start, 7)
	a.history(9)
	now := a.clock.Now().Add(10 * time.Hour)
	a.clock.Set(now)
	from, to := now.Add(-9*24*time.Hour), now
	pub, stop := a.writers(dsn)

	var sent sentTotals
	sent.requests.Store(a.counts(`SELECT '', count(*) FROM public.kept_requests WHERE "timestamp" >= '` + from.Format(time.RFC3339) + `'`)[""])
	sent.events.Store(a.counts(`SELECT '', count(*) FROM public.kept_events WHERE "timestamp" >= '` + from.Format(time.RFC3339) + `'`)[""])
	batches := make([]rawstore.Rows, 60)
	for i := range batches {
		batches[i] = a.hour(now.Truncate(time.Hour).Add(-time.Duration(1+a.random.IntN(6*24))*time.Hour), 30, 20)
		a.keep(batches[i])
	}

	ctx, finish := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	t.Cleanup(busy.Wait)
	t.Cleanup(finish)
	busy.Go(func() { a.aggregateAlways(ctx) })
	more := make(chan struct{})
	busy.Go(func() {
		for _, rows := range batches {
			select {
			case <-more: // one for each read, so that reads fall between all of them
			case <-ctx.Done():
				return
			}
			sent.requests.Add(int64(len(rows.Performance)))
			sent.events.Add(int64(len(rows.Usage)))
			if err := publishRows(ctx, pub, rows); err != nil {
				t.Errorf("publish: %v", err)
			}
		}
	})
	q := question{start: from, end: to, zone: "UTC"}
	last, left := a.readTotals(q), len(batches)
	testkit.Eventually(t, "everything that was sent is counted", func() bool {
		if left > 0 {
			left--
			more <- struct{}{}
		}
		stored := a.storedRequests(from)
		got := a.readTotals(q)
		require.GreaterOrEqual(t, got.requests, stored, "rows that were stored before are missing")
		require.GreaterOrEqual(t, got.requests, last.requests, "a total dropped")
		require.GreaterOrEqual(t, got.events, last.events, "a total dropped")
		require.GreaterOrEqual(t, got.users, last.users, "a total dropped")
		require.LessOrEqual(t, got.requests, sent.requests.Load(), "more than was sent")
		require.LessOrEqual(t, got.events, sent.events.Load(), "more than was sent")
		last = got
		return left == 0 && got.requests == sent.requests.Load() && got.events == sent.events.Load()
	})
	finish()
	busy.Wait()
	stop()
	a.run(t.Context(), aggregate.Retention)
	a.holdPerformance(q)
	a.holdUsage(q)
	a.holdSeries(q, "")
}

// storedRequests is how many requests are in the database at one moment: those
// whose rows are there, and those the receipts of purged hours tell of.
func (a *archive) storedRequests(from time.Time) int64 {
	a.t.Helper()
	at := from.Format(time.RFC3339)
	return a.counts(`SELECT '', (SELECT count(*) FROM performance_metrics WHERE "timestamp" >= '` + at + `')
		+ (SELECT coalesce(sum(source_rows), 0)::bigint FROM hour_receipts WHERE metric_type = 'performance' AND time_bucket >= '` + at + `'
		AND time_bucket < (SELECT purged_before FROM purge_line))`)[""]
}

// aggregateAlways does run after run: rollups, and now and then a retention run
// an hour later, so that the purge line moves.
func (a *archive) aggregateAlways(ctx context.Context) {
	for i := 1; ctx.Err() == nil; i++ {
		kind := aggregate.Rollup
		if i%4 == 0 {
			kind = aggregate.Retention
			if i < 60 {
				a.clock.Advance(time.Hour)
			}
		}
		if _, err := a.runner.Once(ctx, aggregate.Request{Kind: kind, Trigger: aggregate.TriggerSchedule}); err != nil && ctx.Err() == nil {
			a.t.Errorf("aggregate: %v", err)
		}
	}
}

type sentTotals struct{ requests, events atomic.Int64 }

type readTotals struct{ requests, events, users int64 }

func (a *archive) readTotals(q question) readTotals {
	performance := archiveGet[api.Performance](a, "/api/v1/metrics/performance", q.values())
	usage := archiveGet[api.Usage](a, "/api/v1/metrics/usage", q.values())
	return readTotals{performance.Metrics.TotalRequests, usage.Metrics.TotalEvents, performance.Metrics.ActiveUsers}
}

// writers starts two writers on a log of their own.
func (a *archive) writers(dsn string) (pub *stream.Publisher, stop func()) {
	a.t.Helper()
	server := testkit.NATS(a.t)
	connect := func() jetstream.JetStream {
		nc, err := stream.Connect(stream.ConnectConfig{URL: server.URL(), Name: "reference"}, testkit.Logger(a.t))
		require.NoError(a.t, err)
		a.t.Cleanup(nc.Close)
		js, err := jetstream.New(nc)
		require.NoError(a.t, err)
		return js
	}
	cfg := writer.DefaultConfig()
	cfg.PositionEvery, cfg.StatusEvery, cfg.MaxRows = 50*time.Millisecond, time.Second, 100
	require.NoError(a.t, cfg.Topology.Reconcile(a.t.Context(), connect()))
	var all []*writer.Writer
	for i := range 2 {
		pc := postgres.DefaultConfig()
		pc.URL = dsn
		pool, err := postgres.Open(a.t.Context(), pc)
		require.NoError(a.t, err)
		a.t.Cleanup(pool.Close)
		cfg.Instance = fmt.Sprintf("writer-%d", i)
		w, err := writer.New(writer.Params{Config: cfg, JS: connect(), Pool: pool, Now: a.clock.Now, Log: testkit.Logger(a.t),
			Registry: prometheus.NewRegistry(), CodeVersion: "test"})
		require.NoError(a.t, err)
		w.Start()
		all = append(all, w)
	}
	return stream.NewPublisher(connect()), func() {
		for _, w := range all {
			require.NoError(a.t, w.Stop(context.WithoutCancel(a.t.Context())))
		}
	}
}

// publishRows puts rows onto the log, a message for each app and kind.
func publishRows(ctx context.Context, pub *stream.Publisher, rows rawstore.Rows) error {
	for _, app := range archiveApps {
		requests := event.Batch{App: app, Kind: event.KindPerformance}
		for _, p := range rows.Performance {
			if p.App == app {
				requests.Performance = append(requests.Performance, p)
			}
		}
		events := event.Batch{App: app, Kind: event.KindUsage}
		for _, u := range rows.Usage {
			if u.App == app {
				events.Usage = append(events.Usage, u)
			}
		}
		for _, b := range []event.Batch{requests, events} {
			if b.Len() == 0 {
				continue
			}
			if err := pub.Publish(ctx, &b, "reference"); err != nil {
				return err
			}
		}
	}
	return nil
}
