package writer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lakepulse/lakepulse/pkg/rawstore"
	"github.com/lakepulse/lakepulse/pkg/settings"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// Params are what a writer is made of.
type Params struct {
	Config   Config
	Settings *settings.Live // nil: the Config holds
	JS       jetstream.JetStream
	Pool     *pgxpool.Pool
	Now      func() time.Time
	Log      *slog.Logger
	Registry prometheus.Registerer
	// CodeVersion is written on dead letters.
	CodeVersion string
	// Hooks stop the world at named places, in tests.
	Hooks Hooks
}

// Hooks are called at the places where a crash would be most interesting. A nil
// hook is not called.
type Hooks struct {
	Taken       func() // a worker has the first message of a batch
	AfterInsert func() // rows are inserted, nothing is committed
	AfterCommit func() // rows are committed, nothing is acknowledged
}

// Writer stores what the log holds.
type Writer struct {
	cfg      Config
	settings *settings.Live
	js       jetstream.JetStream
	store    *store
	grave    stream.Grave
	now      func() time.Time
	log      *slog.Logger
	hooks    Hooks
	version  string // of this program
	metrics  *metrics
	tally    *tally

	positionsMu sync.Mutex
	positions   positions

	trouble atomic.Pointer[string] // why nothing is stored at present; nil when all is well

	messages chan *stream.Message
	stopping chan struct{}      // closed when Stop begins
	ctx      context.Context    //nolint:containedctx // of all that Start begins and Stop awaits
	cancel   context.CancelFunc // ends what is under way, for good
	work     sync.WaitGroup     // workers
	care     sync.WaitGroup     // reader, position and status
}

// New returns a writer that does nothing before Start.
func New(p Params) (*Writer, error) {
	if err := p.Config.Validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &Writer{
		cfg: p.Config, settings: p.Settings, js: p.JS, now: p.Now, log: p.Log, hooks: p.Hooks, version: p.CodeVersion,
		store:    &store{Store: rawstore.New(p.Pool, p.Hooks.AfterInsert), pool: p.Pool},
		grave:    stream.Grave{JS: p.JS, CodeVersion: p.CodeVersion, Now: p.Now},
		metrics:  newMetrics(p.Registry),
		tally:    newTally(p.Now),
		messages: make(chan *stream.Message, 16),
		stopping: make(chan struct{}),
		ctx:      ctx, cancel: cancel,
	}
	return w, nil
}

// Start begins to read and store. It returns at once: log and database may
// both be away, and are waited for.
func (w *Writer) Start() {
	w.care.Go(w.read)
	for range w.cfg.Workers {
		w.work.Go(w.worker)
	}
	w.care.Go(func() { w.every(w.cfg.PositionEvery, "position", w.recordPosition) })
	w.care.Go(func() { w.every(w.cfg.StatusEvery, "status", w.recordStatus) })
	w.care.Go(func() { w.prepare() })
	w.care.Go(w.tellState)
}

// Stop lets what is being stored finish until ctx ends, gives back the rest and
// writes down the last position.
//
// With Config.StoreAllOnStop it first waits until the log is empty: the log's
// disk may be gone at the next start.
func (w *Writer) Stop(ctx context.Context) error {
	if w.cfg.StoreAllOnStop {
		w.storeAll(ctx)
	}
	close(w.stopping)
	stored := make(chan struct{})
	go func() { w.work.Wait(); close(stored) }()
	var err error
	select {
	case <-stored:
		// Both only report what is stored; the next start records them again. A log or
		// database that is away must not turn an ordered stop into a failure.
		if report := errors.Join(w.recordPosition(ctx), w.recordStatus(ctx)); report != nil {
			w.log.Warn("writer: last position and status not recorded", "error", report)
		}
	case <-ctx.Done():
		err = fmt.Errorf("writer: stopped before a batch was stored; it will be delivered again: %w", ctx.Err())
	}
	w.cancel()
	<-stored
	w.care.Wait()
	return err
}

// Trouble returns why the writer cannot store at present, nil when it can.
func (w *Writer) Trouble() error {
	if t := w.trouble.Load(); t != nil {
		return errors.New(*t)
	}
	return w.errGap()
}

// read hands the log's messages to the workers, and gives back what they no
// longer take. It opens the reader again whenever that fails.
func (w *Writer) read() {
	defer close(w.messages)
	for {
		r, err := w.open()
		if err != nil {
			return
		}
		closed := make(chan struct{})
		go func() {
			select {
			case <-w.stopping:
				r.Drain()
			case <-closed:
			}
		}()
		w.deliver(r)
		close(closed)
		select {
		case <-w.stopping:
			return
		default:
			r.Close()
		}
	}
}

// open waits until the log can be read. Its error means that the writer stops.
func (w *Writer) open() (*stream.Reader, error) {
	for try := 0; ; try++ {
		ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
		r, err := stream.OpenReader(ctx, w.js, w.cfg.Topology)
		cancel()
		if err == nil {
			return r, nil
		}
		if try == 0 {
			w.log.Warn("writer: the log cannot be read yet", "error", err)
		}
		if !w.sleep(500 * time.Millisecond) {
			return nil, context.Canceled
		}
	}
}

// deliver returns when the reader is drained or has failed for long.
func (w *Writer) deliver(r *stream.Reader) {
	for failures := 0; failures < 10; {
		m, err := r.Next()
		if errors.Is(err, stream.ErrReaderClosed) {
			return
		}
		if err != nil {
			w.log.Warn("writer: reading the log", "error", err)
			failures++
			if !w.sleep(200 * time.Millisecond) {
				return
			}
			continue
		}
		failures = 0
		select {
		case <-w.stopping:
			w.giveBack(m)
			continue
		default:
		}
		select {
		case w.messages <- m:
		case <-w.stopping:
			w.giveBack(m)
		}
	}
}

// giveBack returns a message to the log, for the next writer to take at once.
func (w *Writer) giveBack(m *stream.Message) {
	if err := m.GiveBack(); err != nil {
		w.log.Debug("writer: message not given back, it comes again after its ack wait", "sequence", m.Sequence, "error", err)
	}
}

// worker stores batches until the messages end.
func (w *Writer) worker() {
	var h hands
	var began time.Time // its last batch
	for {
		first, ok := <-w.messages
		if !ok {
			return
		}
		select {
		case <-w.stopping:
			w.giveBack(first)
			continue
		default:
		}
		if w.hooks.Taken != nil {
			w.hooks.Taken()
		}
		b := w.collect(&h, first, began.Add(w.cfg.Pace))
		began = time.Now()
		w.handle(b)
		h.empty()
	}
}

// every calls f now and then until the writer stops, and logs when its failing
// begins and ends.
func (w *Writer) every(d time.Duration, what string, f func(context.Context) error) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-w.stopping:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
		err := f(ctx)
		cancel()
		if err != nil && !failing && w.ctx.Err() == nil {
			w.log.Warn("writer: "+what+" not written", "error", err)
		} else if err == nil && failing {
			w.log.Info("writer: " + what + " written again")
		}
		failing = err != nil
	}
}

// prepare keeps the partitions of the days to come ready. One that is missing
// all the same is made when its first row comes.
func (w *Writer) prepare() {
	if err := w.prepareDays(w.ctx); err != nil && w.ctx.Err() == nil {
		w.log.Warn("writer: partitions not prepared; they are made when they are needed", "error", err)
	}
	w.every(time.Hour, "partitions", w.prepareDays)
}

// sleep waits and reports whether the writer goes on.
func (w *Writer) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-w.stopping:
		return false
	}
}

func (w *Writer) prepareDays(ctx context.Context) error {
	now := w.now()
	return w.store.EnsureDays(ctx, now.Add(-w.settings.RawRetention(w.cfg.RawRetention)), now.Add(48*time.Hour))
}
