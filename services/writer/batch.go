package writer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// batch is the messages a worker has in hand, and what is in them.
type batch struct {
	messages []*stream.Message
	rows     rawstore.Rows
	origin   map[origin]*stream.Message              // built only when an event must be buried
	unburied error                                   // why what must be buried is not: nothing may be acknowledged
	lost     map[*stream.Message]stream.Confirmation // what of a message became dead letters
}

type origin struct {
	id [16]byte
	at time.Time
}

// hands is the memory a worker uses again for each batch.
type hands struct {
	batch
	decoded event.Batch
}

// empty lets go of the last batch, and of what its rows hold on to.
func (h *hands) empty() {
	clear(h.messages)
	h.rows.Clear()
	h.decoded.Clear()
	h.batch = batch{messages: h.messages[:0], rows: h.rows}
}

// collect takes what waits behind first, up to the bound on rows, and what still
// comes before its time. Under load a batch is large because it gathers while
// the one before is stored; events that come one by one gather until then, so
// that not each of them costs a transaction.
func (w *Writer) collect(h *hands, first *stream.Message, until time.Time) *batch {
	b := &h.batch
	w.add(h, first)
	due := time.NewTimer(time.Until(until)) // of a time that is over: at once
	defer due.Stop()
	for b.rows.Len() < w.cfg.MaxRows {
		select {
		case m, ok := <-w.messages:
			if !ok {
				return b
			}
			w.add(h, m)
			continue
		default:
		}
		if b.rows.Len() >= w.cfg.PaceRows {
			return b
		}
		select {
		case m, ok := <-w.messages:
			if !ok {
				return b
			}
			w.add(h, m)
		case <-due.C:
			return b
		case <-w.stopping:
			return b
		}
	}
	return b
}

// add decodes a message into the batch. What it cannot decode it buries.
func (w *Writer) add(h *hands, m *stream.Message) {
	b, decoded := &h.batch, &h.decoded
	b.messages = append(b.messages, m)
	if m.Delivered > 1 {
		w.metrics.redelivered.Inc()
		w.tally.redelivered()
	}
	if m.IsLedger() {
		return // stored on its own, see handle
	}
	if err := m.DecodeInto(decoded); err != nil {
		b.loseAll(m, err)
		b.unburied = errors.Join(b.unburied, w.buryWhole(m, 1, err))
		return
	}
	b.rows.Grow(decoded)
	for i := range decoded.Len() {
		if err := rawstore.Check(decoded, i); err != nil {
			b.lose(m, keyOf(decoded, i).id, err)
			b.unburied = errors.Join(b.unburied, w.buryEvent(m, decoded.Slice(i, i+1), err))
			continue
		}
		b.rows.AddAt(decoded, i)
	}
}

// handle stores a batch and acknowledges its messages. It returns when that is
// done, or gives the messages back when the writer is told to end before that.
func (w *Writer) handle(b *batch) {
	release := w.hold(b.messages)
	defer release()
	started := time.Now()
	total, err := w.keep(b, b.rows)
	if err == nil {
		err = w.keepLedger(b)
	}
	if err = errors.Join(b.unburied, err); err != nil {
		w.log.Warn("writer: batch left for another time", "messages", len(b.messages), "error", err)
		for _, m := range b.messages {
			w.giveBack(m)
		}
		return
	}
	if w.hooks.AfterCommit != nil {
		w.hooks.AfterCommit()
	}
	for _, m := range b.messages {
		if err := m.Ack(); err != nil { // it comes again, and is found stored
			w.log.Debug("writer: ack not sent", "sequence", m.Sequence, "error", err)
		}
		if err := m.Confirm(w.js.Conn(), b.lost[m]); err != nil { // its sender repeats the events under the same ids
			w.log.Debug("writer: confirmation not sent", "sequence", m.Sequence, "error", err)
		}
	}
	w.observe(b, total, time.Since(started))
}

// keep stores rows, whatever it takes: it waits out an outage, makes missing
// partitions, runs again after a clash, and halves the rows to find the one
// whose content the database refuses. An error means that the writer ends.
func (w *Writer) keep(b *batch, r rawstore.Rows) (rawstore.Outcome, error) {
	if r.Len() == 0 {
		return rawstore.Outcome{}, nil
	}
	for try := 0; ; try++ {
		out, err := w.attempt(r)
		switch postgres.Classify(err) {
		case postgres.NoError:
			w.recovered()
			return out, nil
		case postgres.Content:
			return w.isolate(b, r, err)
		case postgres.Conflict:
			if !w.sleep(time.Duration(min(try+1, 20)) * 5 * time.Millisecond) {
				return rawstore.Outcome{}, err
			}
			continue
		case postgres.MissingPartition:
			if err = w.makePartitions(r); err == nil {
				continue
			}
		case postgres.Outage: // waited out below
		}
		if werr := w.waitOut(try, err); werr != nil {
			return rawstore.Outcome{}, werr
		}
	}
}

func (w *Writer) attempt(r rawstore.Rows) (rawstore.Outcome, error) {
	ctx, cancel := context.WithTimeout(w.ctx, w.cfg.StoreTimeout)
	defer cancel()
	return w.store.Put(ctx, r)
}

func (w *Writer) makePartitions(r rawstore.Rows) error {
	ctx, cancel := context.WithTimeout(w.ctx, w.cfg.StoreTimeout)
	defer cancel()
	return w.store.EnsureFor(ctx, r)
}

// isolate stores the halves of rows that cannot be stored together, and buries
// the event that cannot be stored alone.
func (w *Writer) isolate(b *batch, r rawstore.Rows, reason error) (rawstore.Outcome, error) {
	if r.Len() == 1 {
		m, part := b.find(r)
		b.lose(m, keyOf(&part, 0).id, reason)
		return rawstore.Outcome{}, w.buryEvent(m, part, reason)
	}
	first, second := r.Halves()
	one, err := w.keep(b, first)
	if err != nil {
		return one, err
	}
	two, err := w.keep(b, second)
	return one.Plus(two), err
}

// lose records that an event of a message becomes a dead letter, for the answer
// to its publisher.
func (b *batch) lose(m *stream.Message, id [16]byte, reason error) {
	c := b.lost[m]
	c.NotStored = append(c.NotStored, stream.NotStored{ID: id, Reason: reason.Error()})
	b.recordLost(m, c)
}

// loseAll records that a whole message becomes a dead letter.
func (b *batch) loseAll(m *stream.Message, reason error) {
	b.recordLost(m, stream.Confirmation{Reason: reason.Error()})
}

func (b *batch) recordLost(m *stream.Message, c stream.Confirmation) {
	if b.lost == nil {
		b.lost = map[*stream.Message]stream.Confirmation{}
	}
	b.lost[m] = c
}

// find returns the message a single row came in, and the row as a batch.
func (b *batch) find(r rawstore.Rows) (*stream.Message, event.Batch) {
	part := r.Batches()[0]
	part.App = *part.At(0).Head().App
	key := keyOf(&part, 0)
	if b.origin == nil {
		b.origin = map[origin]*stream.Message{}
		for _, m := range b.messages {
			if decoded, err := m.Decode(); err == nil { // those that do not decode are buried already
				for i := range decoded.Len() {
					b.origin[keyOf(decoded, i)] = m
				}
			}
		}
	}
	return b.origin[key], part
}

func keyOf(b *event.Batch, i int) origin {
	h := b.At(i).Head()
	return origin{*h.ID, *h.Timestamp}
}

func (w *Writer) buryEvent(m *stream.Message, one event.Batch, reason error) error {
	return w.bury(m, stream.Remains{Event: &one, Part: fmt.Sprintf("%x", keyOf(&one, 0).id), Reason: reason}, one.Len())
}

func (w *Writer) buryWhole(m *stream.Message, events int, reason error) error {
	return w.bury(m, stream.Remains{Part: "all", Reason: reason}, events)
}

// bury puts what is left of a message onto the dead letters, and waits for the
// log if it must: the message is acknowledged after it. An error means that the
// writer ends and the message must not be acknowledged.
func (w *Writer) bury(m *stream.Message, what stream.Remains, events int) error {
	for {
		ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
		err := w.grave.Bury(ctx, m, what)
		cancel()
		if err == nil {
			w.metrics.dead.Add(float64(events))
			w.tally.add(stream.LedgerEntry{App: m.App, Kind: m.Kind, Outcome: stream.OutcomeDead, Events: int64(events)})
			w.log.Error("writer: moved to the dead letters", "sequence", m.Sequence, "subject", m.Subject, "reason", what.Reason,
				"correlation_ids", strings.Join(m.Correlations(), ","))
			return nil
		}
		w.log.Warn("writer: dead letter not written yet", "sequence", m.Sequence, "error", err)
		if !w.sleep(time.Second) {
			return fmt.Errorf("stopping before a dead letter was written: %w", err)
		}
	}
}

// observe counts a stored batch, and leaves a trace of which requests are in it.
func (w *Writer) observe(b *batch, out rawstore.Outcome, took time.Duration) {
	w.metrics.observe(out, b.rows.Len(), took)
	w.tally.batch(b.rows, out)
	if !w.log.Enabled(w.ctx, slog.LevelDebug) {
		return
	}
	var ids []string
	for _, m := range b.messages {
		ids = append(ids, m.Correlations()...)
	}
	w.log.Debug("writer: stored", "messages", len(b.messages), "rows", b.rows.Len(), "new", out.Stored,
		"duplicate", out.Duplicate, "summarised", out.Summarised, "took", took, "correlation_ids", strings.Join(ids, ","))
}
