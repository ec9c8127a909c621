package writer

import (
	"context"
	"time"

	"github.com/lakepulse/lakepulse/pkg/stream"
)

const (
	// tellStateEvery is how often publishers are told that the database is away.
	tellStateEvery = time.Second
	// stopReserve is the part of the time to stop that is left for the last batch
	// and the last position.
	stopReserve = 4 * time.Second
)

// tellState tells publishers that wait for the commit while the database is
// away, and once when it is back, so that they refuse at once instead of waiting
// for an answer that cannot come.
func (w *Writer) tellState() {
	tick := time.NewTicker(tellStateEvery)
	defer tick.Stop()
	for told := false; ; {
		select {
		case <-w.stopping:
			return
		case <-tick.C:
		}
		reason := ""
		if trouble := w.Trouble(); trouble != nil {
			reason = trouble.Error()
		}
		if reason == "" && !told {
			continue
		}
		if err := stream.TellState(w.js.Conn(), reason); err != nil {
			w.log.Debug("writer: state of the database not told", "error", err)
			continue
		}
		told = reason != ""
	}
}

// storeAll waits until every message of the log is stored, at most until the
// time to stop is nearly over. It gives up at once while the database is away.
func (w *Writer) storeAll(ctx context.Context) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-stopReserve))
		defer cancel()
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for w.Trouble() == nil {
		empty, err := stream.AllStored(ctx, w.js) // fails until a writer that has just started has made its consumer
		if empty {
			return
		}
		select {
		case <-ctx.Done():
			w.log.Warn("writer: stopping with messages left in the log; their senders had no answer", "error", err)
			return
		case <-tick.C:
		}
	}
}
