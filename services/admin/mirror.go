package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/apps"
	"github.com/lakepulse/lakepulse/pkg/auth"
)

const (
	// fillTimeout bounds one comparison of bucket and database.
	fillTimeout = 30 * time.Second
	// changeWait is how long the answer to a change waits for the copy in the log.
	changeWait = 2 * time.Second
)

// mirror keeps the key bucket of the event log equal to the database.
type mirror struct {
	registry *apps.Registry
	js       jetstream.JetStream
	every    time.Duration
	logger   *slog.Logger

	changed  chan struct{} // a change that the next comparison must include
	quit     context.CancelFunc
	finished sync.WaitGroup

	mu    sync.Mutex
	round chan struct{} // closed after the comparison under way, then made anew
}

func newMirror(registry *apps.Registry, js jetstream.JetStream, every time.Duration, logger *slog.Logger) *mirror {
	return &mirror{
		registry: registry, js: js, every: every, logger: logger.With("component", "admin.mirror"),
		changed: make(chan struct{}, 1), round: make(chan struct{}),
	}
}

func (m *mirror) start() {
	// Its own context: the one that starts a service ends when it has started.
	ctx, quit := context.WithCancel(context.Background())
	m.quit = quit
	m.finished.Go(func() { m.run(ctx) })
}

func (m *mirror) stop() {
	m.quit()
	m.finished.Wait()
}

func (m *mirror) run(ctx context.Context) {
	tick := time.NewTicker(m.every)
	defer tick.Stop()
	soon := time.NewTicker(250 * time.Millisecond) // until the first success: senders wait for their keys
	defer soon.Stop()
	for filled, failing := false, false; ; {
		err := m.compare(ctx)
		if ctx.Err() != nil {
			return
		}
		filled = filled || err == nil
		if err != nil && !failing && !errors.Is(err, jetstream.ErrBucketNotFound) { // a first start makes it in a moment
			m.logger.Warn("API keys not brought to the event log yet", "error", err)
		}
		if err == nil && failing {
			m.logger.Info("API keys brought to the event log again")
		}
		failing = err != nil
		early := soon.C
		if filled {
			early = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-m.changed:
		case <-tick.C:
		case <-early:
		}
	}
}

// compare makes the bucket equal to the database once.
func (m *mirror) compare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fillTimeout)
	defer cancel()
	m.mu.Lock()
	done := m.round
	m.round = make(chan struct{})
	m.mu.Unlock()
	defer close(done)
	kv, err := m.js.KeyValue(ctx, auth.Bucket)
	if err != nil {
		return fmt.Errorf("open the key bucket: %w", err)
	}
	bucket := auth.NewMirror(kv)
	if err := m.takeOver(ctx, bucket); err != nil {
		return err
	}
	changed, err := bucket.Fill(ctx, m.registry.Directory)
	if changed > 0 {
		m.logger.Info("API keys brought to the event log", "changed", changed)
	}
	return err
}

// takeOver records the keys of a log that was the only place of keys: builds
// before the database held them left them there.
func (m *mirror) takeOver(ctx context.Context, bucket *auth.Mirror) error {
	if filled, err := bucket.Filled(ctx); err != nil || filled {
		return err
	}
	records, err := bucket.Records(ctx)
	if err != nil {
		return err
	}
	taken, err := m.registry.TakeOver(ctx, records)
	if taken > 0 && err == nil {
		m.logger.Info("API keys taken over from the event log", "keys", taken)
	}
	return err
}

// follow brings a change to the log and waits a moment for it.
func (m *mirror) follow(ctx context.Context) {
	m.mu.Lock()
	next := m.round // ends with a comparison that begins after this line
	m.mu.Unlock()
	select {
	case m.changed <- struct{}{}:
	default: // one is asked for already
	}
	wait := time.NewTimer(changeWait)
	defer wait.Stop()
	select {
	case <-next:
	case <-wait.C:
	case <-ctx.Done():
	}
}
