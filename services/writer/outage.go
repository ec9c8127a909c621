package writer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// waitOut waits before the next attempt to reach a database that is away: the
// pauses of the configuration, jittered, cut short when a database that did not
// answer answers again. An error means that the writer ends.
func (w *Writer) waitOut(try int, cause error) error {
	pause := w.cfg.Waits[min(try, len(w.cfg.Waits)-1)]
	pause += rand.N(pause/4 + 1)
	text := "the database does not store: " + cause.Error()
	if w.trouble.Swap(&text) == nil || try == 2 {
		w.log.Warn("writer: the database does not store; events wait in the log", "error", cause, "next_try_in", pause)
	}
	w.metrics.outage.Set(1)
	deadline := time.NewTimer(pause)
	defer deadline.Stop()
	probe := time.NewTicker(w.cfg.ProbeEvery)
	defer probe.Stop()
	for away := postgres.EndsWithProbe(cause); ; {
		select {
		case <-deadline.C:
			return nil
		case <-w.stopping:
			return fmt.Errorf("stopping during an outage: %w", cause)
		case <-probe.C:
			err := w.probe()
			if err == nil && away {
				return nil
			}
			away = away || err != nil
		}
	}
}

func (w *Writer) probe() error {
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	return postgres.Probe(ctx, w.store.pool)
}

func (w *Writer) recovered() {
	if w.trouble.Swap(nil) != nil {
		w.metrics.outage.Set(0)
		w.log.Info("writer: the database stores again")
	}
}

// hold keeps messages from being delivered to another writer while this one
// works on them or waits with them, until release is called.
func (w *Writer) hold(messages []*stream.Message) (release func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(w.cfg.Topology.AckWait / 3)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			for _, m := range messages {
				if err := m.Hold(); err != nil { // at worst it comes a second time
					w.log.Debug("writer: message not held", "sequence", m.Sequence, "error", err)
					break
				}
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// keepLedger stores the ledger reports of a batch.
func (w *Writer) keepLedger(b *batch) error {
	for _, m := range b.messages {
		if !m.IsLedger() {
			continue
		}
		r, err := m.DecodeLedger()
		if err != nil {
			if err := w.buryWhole(m, 0, err); err != nil {
				return err
			}
			continue
		}
		if err := w.keepReport(r); err != nil {
			return err
		}
	}
	return nil
}

// keepReport stores one report, waiting out an outage. A report the database
// refuses is given up: it counts events, it holds none.
func (w *Writer) keepReport(r stream.LedgerReport) error {
	for try := 0; ; try++ {
		ctx, cancel := context.WithTimeout(w.ctx, w.cfg.StoreTimeout)
		err := w.store.putReport(ctx, r)
		cancel()
		if err == nil {
			return nil
		}
		if fatal, werr := w.afterReport(try, err); fatal {
			return werr
		}
	}
}

func (w *Writer) afterReport(try int, err error) (end bool, _ error) {
	if isContent(err) {
		w.log.Error("writer: ledger report refused by the database", "error", err)
		return true, nil
	}
	if werr := w.waitOut(try, err); werr != nil {
		return true, werr
	}
	return false, nil
}
