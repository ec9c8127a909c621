package writer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// An acknowledgement says that a message was stored; it does not say that it still
// is. A database that was replaced by a standby, restored or lost holds an older
// position than the log's consumer: what lies between the two is stored again from
// the log, beside the running work, and the position stays where it is until then.

// gap is a stretch of the log that the database has lost: messages after from, up
// to and with to.
type gap struct{ from, to uint64 }

// positions is what a writer knows of the database's position.
type positions struct {
	compared    bool      // with the log's since the start
	incarnation time.Time // of the stream
	known       uint64    // the database's position when it was seen or written last
	gap         *gap      // what is stored again at present
}

// compare returns the messages that the database lacks, nil when it lacks none.
// It is called before the position is written, so that an older one is seen.
func (s *positions) compare(db metricsdb.Position, found bool, log stream.Position) *gap {
	first := !s.compared
	log.Incarnation = log.Incarnation.Truncate(time.Microsecond) // as the database keeps it
	if found && !db.Incarnation.Truncate(time.Microsecond).Equal(log.Incarnation) || !first && !s.incarnation.Equal(log.Incarnation) {
		// Another log: its sequences say nothing about what the database has.
		*s = positions{compared: true, incarnation: log.Incarnation, known: 0}
		return nil
	}
	s.compared, s.incarnation = true, log.Incarnation
	wentBack := db.Sequence < s.known // also when it is not there any more
	s.known = db.Sequence
	if (first || wentBack) && log.Sequence > db.Sequence {
		return &gap{from: db.Sequence, to: log.Sequence}
	}
	return nil
}

// comparePositions looks for a gap and begins to fill it. It returns the database's
// position, nil for none of this log, and whether a newer one may be written.
func (w *Writer) comparePositions(ctx context.Context, p stream.Position) (seen *metricsdb.Position, write bool, err error) {
	db, found, err := metricsdb.ReadPosition(ctx, w.store.pool, stream.Name)
	if err != nil {
		return nil, false, err
	}
	if found && db.Incarnation.Truncate(time.Microsecond).Equal(p.Incarnation.Truncate(time.Microsecond)) {
		seen = &db
	}
	w.positionsMu.Lock()
	defer w.positionsMu.Unlock()
	lacks := w.positions.compare(db, found, p)
	if lacks == nil {
		return seen, w.positions.gap == nil, nil
	}
	if running := w.positions.gap; running != nil { // it went back once more
		running.from, running.to = min(running.from, lacks.from), max(running.to, lacks.to)
		return seen, false, nil
	}
	w.positions.gap = lacks
	w.metrics.gap.Set(float64(lacks.to - lacks.from))
	w.log.Warn("writer: the database is older than the log's acknowledgements, storing again from the log",
		"from_sequence", lacks.from+1, "to_sequence", lacks.to)
	w.care.Go(w.fillGap)
	return seen, false, nil
}

// positionWritten notes what the database's position is now, at least.
func (w *Writer) positionWritten(p stream.Position) {
	w.positionsMu.Lock()
	defer w.positionsMu.Unlock()
	w.positions.known = max(w.positions.known, p.Sequence)
}

// gapMessages is how many messages are stored again at present.
func (w *Writer) gapMessages() uint64 {
	w.positionsMu.Lock()
	defer w.positionsMu.Unlock()
	if g := w.positions.gap; g != nil {
		return g.to - g.from
	}
	return 0
}

// fillGap stores the gap again, and again until nothing more of it is missing.
func (w *Writer) fillGap() {
	var done gap
	for {
		w.positionsMu.Lock()
		todo := *w.positions.gap
		if todo == done {
			w.positions.gap, w.positions.known = nil, 0 // the next position is written from here on
			w.positionsMu.Unlock()
			w.metrics.gap.Set(0)
			w.log.Info("writer: what the database lacked is stored again", "from_sequence", done.from+1, "to_sequence", done.to)
			return
		}
		w.positionsMu.Unlock()
		if err := w.storeAgain(w.ctx, todo); err != nil {
			if w.ctx.Err() != nil {
				return
			}
			w.log.Warn("writer: storing again from the log, trying on", "error", err)
			if !w.sleep(w.cfg.ProbeEvery) {
				return
			}
			continue
		}
		done = todo
	}
}

// storeAgain stores the messages of a gap. Rows that exist stay as they are. It
// leaves the database at least as much time as it takes.
func (w *Writer) storeAgain(ctx context.Context, g gap) error {
	source, err := stream.OpenSource(ctx, w.js, stream.Selection{From: g.from + 1, Ledger: true})
	if err != nil {
		return err
	}
	defer source.Close()
	if first := source.Reach.First; first > g.from+1 {
		w.log.Error("writer: messages that the database lacks have left the log, they are missing for good",
			"from_sequence", g.from+1, "to_sequence", min(first-1, g.to))
	}
	for more := true; more; {
		var rows rawstore.Rows
		if rows, more, err = w.collectAgain(ctx, source, g.to); err != nil {
			return err
		}
		started := time.Now()
		out, err := w.store.PutAll(ctx, rows, func(rawstore.Rows, error) {}) // it went to the dead letters when it came first
		if err != nil {
			return err
		}
		w.tally.batch(rows, rawstore.Outcome{Stored: out.Stored})
		w.metrics.stored.Add(float64(out.Stored))
		if more && !w.sleep(time.Since(started)) {
			return context.Canceled
		}
	}
	return nil
}

// collectAgain reads messages up to the bound on rows, and reports whether there
// may be more before the end of the gap.
func (w *Writer) collectAgain(ctx context.Context, source *stream.Source, last uint64) (rows rawstore.Rows, more bool, err error) {
	for rows.Len() < w.cfg.MaxRows {
		m, err := source.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return rows, false, nil
		case err != nil:
			return rows, false, err
		case m.Sequence > last:
			return rows, false, nil
		case m.IsLedger():
			if r, err := m.DecodeLedger(); err == nil {
				if err := w.store.putReport(ctx, r); err != nil {
					return rows, false, err
				}
			}
		default:
			b, err := m.Decode()
			if err != nil {
				continue // it is a dead letter
			}
			for i := range b.Len() {
				if rawstore.Check(b, i) == nil {
					one := b.Slice(i, i+1)
					rows.Add(&one)
				}
			}
		}
		if m.Sequence == last {
			return rows, false, nil
		}
	}
	return rows, true, nil
}

// errGap says why the writer is not well while the database lacks rows.
func (w *Writer) errGap() error {
	if n := w.gapMessages(); n > 0 {
		return fmt.Errorf("the database lacks %d messages that were acknowledged; they are stored again from the log", n)
	}
	return nil
}
