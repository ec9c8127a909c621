package writer

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

func isContent(err error) bool { return postgres.Classify(err) == postgres.Content }

// tally counts what became of events, for the ledger and the status.
type tally struct {
	now     func() time.Time
	mu      sync.Mutex
	counts  map[stream.LedgerEntry]int64
	totals  metricsdb.WriterStatus
	last    int64 // stored at the last status
	lastAt  time.Time
	posSeen stream.Position
}

func newTally(now func() time.Time) *tally {
	return &tally{now: now, counts: map[stream.LedgerEntry]int64{}, lastAt: now()}
}

func (t *tally) add(e stream.LedgerEntry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.countLocked(e)
}

// redelivered counts a message that was handed out before.
func (t *tally) redelivered() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.totals.RedeliveredTotal++
}

func (t *tally) countLocked(e stream.LedgerEntry) {
	n := e.Events
	e.Events = 0
	if n == 0 {
		return
	}
	t.counts[e] += n
	if e.Outcome == stream.OutcomeDead {
		t.totals.DeadTotal += n
	}
}

// batch counts a stored batch. What was new and what was not is known of the
// batch, not of each app in it: it goes to the app of the whole batch where
// there is but one.
func (t *tally) batch(r rawstore.Rows, out rawstore.Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	app, kind := soleApp(r)
	t.countLocked(stream.LedgerEntry{App: app, Kind: kind, Outcome: stream.OutcomeStored, Events: int64(out.Stored)})
	t.countLocked(stream.LedgerEntry{App: app, Kind: kind, Outcome: stream.OutcomeDuplicate, Events: int64(out.Duplicate)})
	t.countLocked(stream.LedgerEntry{App: app, Kind: kind, Outcome: stream.OutcomeSummarised, Events: int64(out.Summarised)})
	t.totals.StoredTotal += int64(out.Stored)
	t.totals.DuplicatesTotal += int64(out.Duplicate)
	t.totals.SummarisedTotal += int64(out.Summarised)
}

// soleApp returns the kind of rows that are all of one kind, and the app of rows
// that are all of one app; "" otherwise.
func soleApp(r rawstore.Rows) (app string, kind event.Kind) {
	batches := r.Batches()
	if len(batches) != 1 {
		return "", ""
	}
	b := batches[0]
	app = *b.At(0).Head().App
	for i := range b.Len() {
		if *b.At(i).Head().App != app {
			return "", b.Kind
		}
	}
	return app, b.Kind
}

// recordPosition writes down how far the log is stored.
func (w *Writer) recordPosition(ctx context.Context) error {
	p, err := stream.ReadPosition(ctx, w.js, w.now)
	if err != nil {
		w.metrics.lagUnknown()
		return err
	}
	w.tally.mu.Lock()
	w.tally.posSeen = p
	w.tally.mu.Unlock()
	w.metrics.lagMessages.Set(float64(p.Waiting))
	w.metrics.lagSeconds.Set(w.lag(p))
	seen, write, err := w.comparePositions(ctx, p)
	if err != nil || !write {
		return err
	}
	if err := w.store.putPosition(ctx, p, seen); err != nil {
		return err
	}
	w.positionWritten(p)
	return nil
}

// lag is how old the oldest message is that is not stored, in seconds.
func (w *Writer) lag(p stream.Position) float64 {
	if p.Waiting == 0 {
		return 0
	}
	return max(0, w.now().Sub(p.StoredThrough).Seconds())
}

// recordStatus writes down the writer's status, its part of the ledger, and
// what the dead letters are.
func (w *Writer) recordStatus(ctx context.Context) error {
	s, counts := w.takeStatus()
	letters, err := w.deadLetters(ctx)
	if err == nil {
		s.DeadLetters = letters.Count
		w.metrics.deadLetters.Set(float64(letters.Count))
		err = w.store.putDeadLetters(ctx, letters)
	} else {
		w.metrics.deadLetters.Set(math.NaN())
	}
	if err == nil {
		err = w.store.putStatus(ctx, s)
	}
	if err == nil && len(counts) > 0 {
		r := stream.LedgerReport{ID: event.NewID(), At: w.now().UTC(), Source: "writer/" + w.cfg.Instance}
		for e, n := range counts {
			e.Events = n
			r.Entries = append(r.Entries, e)
		}
		err = w.store.putReport(ctx, r)
	}
	if err != nil { // count them again the next time
		w.tally.mu.Lock()
		defer w.tally.mu.Unlock()
		for e, n := range counts {
			w.tally.counts[e] += n
		}
	}
	return err
}

func (w *Writer) takeStatus() (metricsdb.WriterStatus, map[stream.LedgerEntry]int64) {
	t := w.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	s := t.totals
	s.Instance, s.Version = w.cfg.Instance, w.version
	s.StreamMessages, s.StreamBytes, s.LagMessages = t.posSeen.Messages, t.posSeen.Bytes, t.posSeen.Waiting
	s.GapMessages = w.gapMessages()
	s.LagSeconds, s.StoredThrough = w.lag(t.posSeen), t.posSeen.StoredThrough
	if since := now.Sub(t.lastAt).Seconds(); since > 0 {
		s.StoredPerSecond = float64(s.StoredTotal-t.last) / since
	}
	t.last, t.lastAt = s.StoredTotal, now
	if trouble := w.trouble.Load(); trouble != nil {
		s.Trouble = *trouble
	}
	counts := t.counts
	t.counts = map[stream.LedgerEntry]int64{}
	return s, counts
}

const (
	shownLetters = 50
	shownBytes   = 4 << 10
)

func (w *Writer) deadLetters(ctx context.Context) (metricsdb.DeadLetters, error) {
	count, err := stream.CountDead(ctx, w.js)
	if err != nil || count == 0 {
		return metricsdb.DeadLetters{Letters: []metricsdb.DeadLetter{}}, err
	}
	list, err := stream.NewestDead(ctx, w.js, shownLetters)
	if err != nil {
		return metricsdb.DeadLetters{}, err
	}
	out := metricsdb.DeadLetters{Count: count, Letters: make([]metricsdb.DeadLetter, 0, len(list))}
	for _, d := range list {
		out.Letters = append(out.Letters, describeDead(d))
	}
	return out, nil
}

func describeDead(d *stream.DeadLetter) metricsdb.DeadLetter {
	l := metricsdb.DeadLetter{
		Sequence: d.Sequence, App: d.App, Kind: d.Kind, Reason: d.Reason, FirstSeen: d.FirstSeen, CodeVersion: d.CodeVersion,
		OriginalSubject: d.OriginalSubject, OriginalSequence: d.OriginalSequence, SchemaVersion: d.SchemaVersion, Bytes: len(d.Data),
		Headers: d.Headers,
	}
	if b, err := event.Decode(d.SchemaVersion, d.Kind, d.Data); err == nil {
		if text, err := b.MarshalEvents(); err == nil && len(text) <= shownBytes {
			l.Content, l.Events = text, b.Len()
			return l
		}
	}
	l.Raw = d.Data[:min(len(d.Data), shownBytes)]
	return l
}
