package writer

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

func isContent(err error) bool { return postgres.Classify(err) == postgres.Content }

// tally counts what became of events, for the ledger and the status.
type tally struct {
	now     func() time.Time
	mu      sync.Mutex
	counts  map[stream.LedgerEntry]int64
	totals  status
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
func (t *tally) batch(r rows, out outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	app, kind := r.soleApp()
	t.countLocked(stream.LedgerEntry{App: app, Kind: kind, Outcome: stream.OutcomeStored, Events: int64(out.stored)})
	t.countLocked(stream.LedgerEntry{App: app, Kind: kind, Outcome: stream.OutcomeDuplicate, Events: int64(out.duplicate)})
	t.countLocked(stream.LedgerEntry{App: app, Kind: kind, Outcome: stream.OutcomeSummarised, Events: int64(out.summarised)})
	t.totals.StoredTotal += int64(out.stored)
	t.totals.DuplicatesTotal += int64(out.duplicate)
	t.totals.SummarisedTotal += int64(out.summarised)
}

func (r rows) soleApp() (app string, kind event.Kind) {
	if len(r.performance) > 0 && len(r.usage) > 0 || r.len() == 0 {
		return "", ""
	}
	if len(r.performance) > 0 {
		app, kind = r.performance[0].App, event.KindPerformance
		for i := range r.performance {
			if r.performance[i].App != app {
				return "", kind
			}
		}
		return app, kind
	}
	app, kind = r.usage[0].App, event.KindUsage
	for i := range r.usage {
		if r.usage[i].App != app {
			return "", kind
		}
	}
	return app, kind
}

// status is what a writer says of itself; the pipeline panel reads it.
type status struct {
	Instance        string    `json:"instance"`
	StreamMessages  uint64    `json:"stream_messages"`
	StreamBytes     uint64    `json:"stream_bytes"`
	LagMessages     uint64    `json:"lag_messages"`
	LagSeconds      float64   `json:"lag_seconds"`
	StoredThrough   time.Time `json:"stored_through"`
	StoredPerSecond float64   `json:"stored_per_second"`
	StoredTotal     int64     `json:"stored_total"`
	DuplicatesTotal int64     `json:"duplicates_total"`
	SummarisedTotal int64     `json:"summarised_total"`
	DeadTotal       int64     `json:"dead_total"`
	DeadLetters     uint64    `json:"dead_letters"`
	Trouble         string    `json:"trouble,omitempty"`
}

// recordPosition writes down how far the log is stored.
func (w *Writer) recordPosition(ctx context.Context) error {
	p, err := stream.ReadPosition(ctx, w.js, w.now)
	if err != nil {
		return err
	}
	w.tally.mu.Lock()
	w.tally.posSeen = p
	w.tally.mu.Unlock()
	w.metrics.lagMessages.Set(float64(p.Waiting))
	w.metrics.lagSeconds.Set(w.lag(p))
	return w.store.putPosition(ctx, p)
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
		err = w.store.putStatus(ctx, "dead_letters", letters)
	}
	if err == nil {
		err = w.store.putStatus(ctx, "writer/"+w.cfg.Instance, s)
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

func (w *Writer) takeStatus() (status, map[stream.LedgerEntry]int64) {
	t := w.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	s := t.totals
	s.Instance = w.cfg.Instance
	s.StreamMessages, s.StreamBytes, s.LagMessages = t.posSeen.Messages, t.posSeen.Bytes, t.posSeen.Waiting
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

// letters is what the pipeline panel shows of the dead letters.
type letters struct {
	Count   uint64          `json:"count"`
	Letters []letterSummary `json:"letters"`
}

type letterSummary struct {
	Sequence         uint64          `json:"sequence"`
	App              string          `json:"app"`
	Kind             event.Kind      `json:"kind"`
	Reason           string          `json:"reason"`
	FirstSeen        time.Time       `json:"first_seen"`
	CodeVersion      string          `json:"code_version"`
	OriginalSubject  string          `json:"original_subject"`
	OriginalSequence uint64          `json:"original_sequence"`
	SchemaVersion    int             `json:"schema_version"`
	Bytes            int             `json:"bytes"`
	Content          json.RawMessage `json:"content,omitempty"` // the events, where they can be read
	Raw              []byte          `json:"raw,omitempty"`     // base64 of the first bytes, where not
}

const (
	shownLetters = 50
	shownBytes   = 4 << 10
)

func (w *Writer) deadLetters(ctx context.Context) (letters, error) {
	count, err := stream.CountDead(ctx, w.js)
	if err != nil || count == 0 {
		return letters{Letters: []letterSummary{}}, err
	}
	list, err := stream.ListDead(ctx, w.js, 1, shownLetters)
	if err != nil {
		return letters{}, err
	}
	out := letters{Count: count, Letters: make([]letterSummary, 0, len(list))}
	for _, d := range list {
		out.Letters = append(out.Letters, summarise(d))
	}
	return out, nil
}

func summarise(d *stream.DeadLetter) letterSummary {
	s := letterSummary{
		Sequence: d.Sequence, App: d.App, Kind: d.Kind, Reason: d.Reason, FirstSeen: d.FirstSeen, CodeVersion: d.CodeVersion,
		OriginalSubject: d.OriginalSubject, OriginalSequence: d.OriginalSequence, SchemaVersion: d.SchemaVersion, Bytes: len(d.Data),
	}
	if b, err := event.Decode(d.SchemaVersion, d.Kind, d.Data); err == nil {
		events := any(b.Performance)
		if b.Kind == event.KindUsage {
			events = b.Usage
		}
		if text, err := json.Marshal(events); err == nil && len(text) <= shownBytes {
			s.Content = text
			return s
		}
	}
	s.Raw = d.Data[:min(len(d.Data), shownBytes)]
	return s
}

// putReport stores a ledger report. Its rows have ids derived from the
// report's: storing it twice changes nothing.
func (s *store) putReport(ctx context.Context, r stream.LedgerReport) error {
	n := len(r.Entries)
	ids, apps, kinds := make([][16]byte, n), make([]string, n), make([]string, n)
	outcomes, reasons, counts := make([]string, n), make([]string, n), make([]int64, n)
	for i, e := range r.Entries {
		ids[i] = derive(r.ID, i)
		apps[i], kinds[i], outcomes[i], reasons[i], counts[i] = e.App, string(e.Kind), e.Outcome, e.Reason, e.Events
	}
	_, err := s.pool.Exec(ctx, `
INSERT INTO event_ledger (id, reported_at, source, app, metric_type, outcome, reason, events)
SELECT e.id, $2, $3, e.app, e.kind, e.outcome, e.reason, e.events
  FROM unnest($1::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[]) AS e(id, app, kind, outcome, reason, events)
ON CONFLICT DO NOTHING`, ids, r.At, r.Source, apps, kinds, outcomes, reasons, counts)
	if err != nil {
		return fmt.Errorf("store ledger report: %w", err)
	}
	return nil
}

func derive(id [16]byte, i int) [16]byte {
	id[8] ^= byte(i >> 8) //nolint:gosec // the low bytes of an index
	id[9] ^= byte(i)      //nolint:gosec // as above
	return id
}

func (s *store) putStatus(ctx context.Context, part string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	_, err = s.pool.Exec(ctx, `
INSERT INTO pipeline_status (part, body) VALUES ($1, $2)
ON CONFLICT (part) DO UPDATE SET body = EXCLUDED.body, updated_at = now()`, part, data)
	if err != nil {
		return fmt.Errorf("store status: %w", err)
	}
	return nil
}

// putPosition writes down a position, never one behind what is there: another
// writer may have looked later.
func (s *store) putPosition(ctx context.Context, p stream.Position) error {
	_, err := s.pool.Exec(ctx, `
INSERT INTO stream_positions AS p (stream, incarnation, sequence, stored_through) VALUES ($1, $2, $3, $4)
ON CONFLICT (stream) DO UPDATE SET incarnation = EXCLUDED.incarnation, sequence = EXCLUDED.sequence,
       stored_through = EXCLUDED.stored_through, updated_at = now()
 WHERE p.incarnation <> EXCLUDED.incarnation OR p.stored_through < EXCLUDED.stored_through`,
		stream.Name, p.Incarnation, int64(p.Sequence), p.StoredThrough) //nolint:gosec // sequences stay below 2^63
	if err != nil {
		return fmt.Errorf("store position: %w", err)
	}
	return nil
}
