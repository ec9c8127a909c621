package ingest

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// reporter puts a ledger report onto the log.
type reporter func(ctx context.Context, r stream.LedgerReport) error

const (
	reportTimeout = 5 * time.Second
	maxEntries    = 10_000 // distinct counts held; beyond it apps are counted together
)

// ledger counts what became of events and reports it to the log now and then.
// Counts are kept while the log is away.
type ledger struct {
	report   reporter
	source   string
	every    time.Duration
	now      func() time.Time
	log      *slog.Logger
	mu       sync.Mutex
	counts   map[stream.LedgerEntry]int64 // Events is 0 in the key
	keyUses  map[string]time.Time
	pending  *stream.LedgerReport // taken, not yet through; the loop's own
	quit     chan struct{}
	finished chan struct{}
}

func newLedger(report reporter, cfg Config, now func() time.Time, log *slog.Logger) *ledger {
	return &ledger{
		report: report, source: cfg.Instance, every: cfg.LedgerEvery, now: now, log: log,
		counts: map[stream.LedgerEntry]int64{}, keyUses: map[string]time.Time{}, quit: make(chan struct{}), finished: make(chan struct{}),
	}
}

func (l *ledger) add(e stream.LedgerEntry) {
	n := e.Events
	e.Events = 0
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.counts[e]; !known && len(l.counts) >= maxEntries {
		e.App = ""
	}
	l.counts[e] = stream.AddCounts(l.counts[e], n)
}

// use notes that an API key was used. There are as many as administrators have made.
func (l *ledger) use(keyID string, at time.Time) {
	if keyID == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keyUses[keyID] = at
}

func (l *ledger) start() {
	go func() {
		defer close(l.finished)
		tick := time.NewTicker(l.every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				l.flush(context.Background())
			case <-l.quit:
				return
			}
		}
	}()
}

func (l *ledger) stop(ctx context.Context) error {
	close(l.quit)
	select {
	case <-l.finished:
	case <-ctx.Done():
		return ctx.Err()
	}
	l.flush(ctx)
	return nil
}

// flush reports what was counted. A report that does not get through is kept
// and sent again as it is: should it have arrived after all, its id says so.
func (l *ledger) flush(ctx context.Context) {
	if l.pending == nil {
		l.pending = l.take()
	}
	if l.pending == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	if err := l.report(ctx, *l.pending); err != nil {
		l.log.Debug("ingest: ledger report postponed", "error", err)
		return
	}
	l.pending = nil
}

// take returns the counts since the last call as a report, nil without any.
func (l *ledger) take() *stream.LedgerReport {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.counts)+len(l.keyUses) == 0 {
		return nil
	}
	r := &stream.LedgerReport{ID: event.NewID(), At: l.now().UTC(), Source: l.source}
	for e, n := range l.counts {
		e.Events = n
		r.Entries = append(r.Entries, e)
	}
	if len(l.keyUses) > 0 {
		r.KeyUses = maps.Clone(l.keyUses)
	}
	clear(l.counts)
	clear(l.keyUses)
	return r
}
