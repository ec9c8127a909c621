package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/tools/console"
)

// Options say what a replay takes, what it does to it, and where it goes.
type Options struct {
	// From: a log, or a file of events.
	Log  jetstream.JetStream
	File string

	// Since and Until bound the events' own timestamps; zero for no bound.
	Since, Until time.Time
	FromSequence uint64
	App          string
	Kinds        []event.Kind

	// Speed is how many seconds of events pass in a second; 0 for all there is.
	Speed float64
	// ShiftTo moves events in time, keeping the distances between them: the end of
	// what is chosen comes to lie there, or its beginning where events are played
	// at the speed they happened. Zero for no shift.
	ShiftTo time.Time
	// Key is what pseudonyms are made with; empty to leave users as they are.
	Key []byte

	// To: one of a log, a database, a file and a writer.
	ToLog      *stream.Publisher
	ToDatabase *pgxpool.Pool
	ToFile     string
	ToWriter   io.Writer
	// RawRetention of where events go: older ones are left out, and counted. A
	// log or database only; 0 for no bound.
	RawRetention time.Duration

	// State is a file that remembers how far an interrupted replay was; "" for
	// one that cannot be resumed.
	State string

	Clock    func() time.Time
	Progress func(console.Progress)
}

// Report is what a replay did.
type Report struct {
	Events     int64         `json:"events"`  // that went to the sink, by this run and those it resumed
	Outside    int64         `json:"outside"` // too old, or too far in the future, for where they would go
	Oldest     time.Time     `json:"oldest_outside,omitzero"`
	Newest     time.Time     `json:"newest_outside,omitzero"`
	Unreadable int64         `json:"unreadable"` // messages or lines
	Reason     string        `json:"reason,omitempty"`
	Invalid    int64         `json:"invalid"` // events that break ingest's rules
	Stored     int64         `json:"stored"`  // into a database: new rows
	Duplicate  int64         `json:"duplicate"`
	Summarised int64         `json:"summarised"` // below the purge line
	Refused    int64         `json:"refused"`    // by the database
	Shift      time.Duration `json:"shift"`
	Resumed    bool          `json:"resumed"`
	Reach      time.Time     `json:"reach,omitzero"` // since when the log holds events
}

// Run replays. An error leaves the state file: the same replay run again goes on.
func Run(ctx context.Context, o Options) (Report, error) {
	r := &run{o: o}
	if err := r.open(ctx); err != nil {
		return r.state.Report, errors.Join(err, r.close())
	}
	err := r.loop(ctx)
	if err == nil {
		err = r.save(ctx)
	} else {
		// What the sink has taken is worth keeping, also when the run was told to end.
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		err = errors.Join(err, r.save(late))
		cancel()
	}
	err = errors.Join(err, r.close())
	if err == nil {
		err = r.forget()
	}
	return r.state.Report, err
}

type run struct {
	o      Options
	source source
	sink   sink
	state  state
	pace   pace
	window event.Window
}

func (r *run) open(ctx context.Context) error {
	var err error
	if r.state, err = loadState(r.o); err != nil {
		return err
	}
	if r.source, err = r.openSource(ctx); err != nil {
		return err
	}
	if r.sink, err = r.openSink(); err != nil {
		return err
	}
	if !r.state.Resumed {
		if r.state.Shift, err = r.shift(ctx); err != nil {
			return err
		}
	}
	r.pace = pace{speed: r.o.Speed, clock: r.o.Clock}
	r.window = event.Window{To: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	if r.o.RawRetention > 0 && (r.o.ToLog != nil || r.o.ToDatabase != nil) {
		r.window = event.WindowAt(r.o.Clock(), r.o.RawRetention)
	}
	return nil
}

// lateness is how much earlier than its own timestamp an event can be published:
// ingest accepts what is so far in the future.
const lateness = event.MaxAhead

func (r *run) openSource(ctx context.Context) (source, error) {
	if r.o.File != "" {
		return openFile(r.o.File, r.state.Position)
	}
	sel := stream.Selection{App: r.o.App, Kinds: r.o.Kinds, From: r.o.FromSequence}
	if r.state.Resumed {
		sel.From = r.state.Position + 1
	}
	if !r.o.Since.IsZero() {
		sel.Published = r.o.Since.Add(-lateness)
	}
	l, err := openLog(ctx, r.o.Log, sel)
	if err != nil {
		return nil, err
	}
	r.state.Reach = l.Reach.FirstTime
	if r.state.Resumed && !r.state.Incarnation.Equal(l.Reach.Incarnation) {
		l.Close()
		return nil, fmt.Errorf("the log was made anew since this replay was interrupted: remove %s to begin again", r.o.State)
	}
	r.state.Incarnation = l.Reach.Incarnation
	return l, nil
}

func (r *run) openSink() (sink, error) {
	switch {
	case r.o.ToLog != nil:
		return newLogSink(r.o.ToLog), nil
	case r.o.ToDatabase != nil:
		return newDatabaseSink(r.o.ToDatabase), nil
	case r.o.ToFile != "":
		return newFileSink(r.o.ToFile, r.state.Mark)
	}
	return newLineSink(r.o.ToWriter), nil
}

// shift returns by how much events move.
func (r *run) shift(ctx context.Context) (time.Duration, error) {
	if r.o.ShiftTo.IsZero() {
		return 0, nil
	}
	live := r.o.Speed == 1
	from := r.o.Until
	if live {
		from = r.o.Since
	}
	if from.IsZero() {
		first, last, err := r.extent(ctx)
		if err != nil {
			return 0, err
		}
		if from = last; live {
			from = first
		}
	}
	return r.o.ShiftTo.Sub(from).Truncate(time.Second), nil
}

// extent returns the first and the last moment of the source: of a log, when
// messages were published, which is close; of a file, by reading it.
func (r *run) extent(ctx context.Context) (first, last time.Time, err error) {
	if l, ok := r.source.(*logSource); ok {
		return l.Reach.FirstTime, l.Reach.LastTime, nil
	}
	f, err := openFile(r.o.File, 0)
	if err != nil {
		return first, last, err
	}
	for {
		it, err := f.next(ctx)
		if errors.Is(err, io.EOF) {
			return first, last, f.close()
		}
		if err != nil {
			return first, last, errors.Join(err, f.close())
		}
		if it.unreadable != nil {
			continue
		}
		for i := range it.batch.Len() {
			at := *it.batch.At(i).Head().Timestamp
			if first.IsZero() || at.Before(first) {
				first = at
			}
			if at.After(last) {
				last = at
			}
		}
	}
}

func (r *run) loop(ctx context.Context) error {
	for {
		it, err := r.source.next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := r.take(ctx, it); err != nil {
			return err
		}
	}
}

func (r *run) take(ctx context.Context, it item) error {
	if it.unreadable != nil {
		r.state.Unreadable++
		if r.state.Reason == "" {
			r.state.Reason = it.unreadable.Error()
		}
		r.state.seen = it.position
		return nil
	}
	b := r.choose(it.batch)
	if b.Len() > 0 {
		if err := r.wait(ctx, b); err != nil {
			return err
		}
		if err := r.sink.put(ctx, b); err != nil {
			return err
		}
	}
	r.state.Events += int64(b.Len())
	r.state.seen = it.position
	if r.state.unsaved += b.Len(); r.state.unsaved >= flushLines {
		if err := r.save(ctx); err != nil {
			return err
		}
	}
	r.report()
	return nil
}

// choose returns the events of a batch that are to go, as they are to go.
func (r *run) choose(b *event.Batch) *event.Batch {
	b = keepOnly(b, func(at time.Time) bool {
		return (r.o.Since.IsZero() || !at.Before(r.o.Since)) && (r.o.Until.IsZero() || at.Before(r.o.Until))
	})
	if r.o.App != "" && b.App != r.o.App || !r.wanted(b.Kind) {
		return &event.Batch{} // of a file: a log is asked for what is wanted
	}
	shift(b, r.state.Shift)
	pseudonymise(b, r.o.Key)
	good := &event.Batch{App: b.App, Kind: b.Kind}
	for i := range b.Len() {
		if err := rawstore.Check(b, i); err != nil {
			r.state.Invalid++
			r.state.Reason = err.Error()
			continue
		}
		one := b.Slice(i, i+1)
		good.Append(&one)
	}
	return keepOnly(good, r.inWindow)
}

func (r *run) wanted(k event.Kind) bool {
	for _, kind := range r.o.Kinds {
		if kind == k {
			return true
		}
	}
	return len(r.o.Kinds) == 0
}

func (r *run) inWindow(at time.Time) bool {
	if !at.Before(r.window.From) && !at.After(r.window.To) {
		return true
	}
	r.state.Outside++
	if r.state.Oldest.IsZero() || at.Before(r.state.Oldest) {
		r.state.Oldest = at
	}
	if at.After(r.state.Newest) {
		r.state.Newest = at
	}
	return false
}

// wait holds a batch back until it is its time. What is before it is flushed
// first, so that it can be seen while the replay waits.
func (r *run) wait(ctx context.Context, b *event.Batch) error {
	d := r.pace.due(firstTime(b))
	if d < 50*time.Millisecond {
		return nil
	}
	if err := r.sink.flush(ctx); err != nil {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func firstTime(b *event.Batch) time.Time { return *b.At(0).Head().Timestamp }

// pace says when an event is due, at the speed asked for.
type pace struct {
	speed float64
	clock func() time.Time
	began time.Time // our clock
	first time.Time // the events'
}

func (p *pace) due(at time.Time) time.Duration {
	if p.speed <= 0 {
		return 0
	}
	if p.began.IsZero() {
		p.began, p.first = p.clock(), at
	}
	after := time.Duration(float64(at.Sub(p.first)) / p.speed)
	return p.began.Add(after).Sub(p.clock())
}

func (r *run) report() {
	if r.o.Progress == nil {
		return
	}
	p := console.Progress{Events: r.state.Events, Done: -1, Position: r.state.seen}
	if first, last := r.source.span(); last >= first {
		p.Done = float64(r.state.seen-first+1) / float64(last-first+1)
	}
	r.o.Progress(p)
}

func (r *run) close() error {
	var errs []error
	if r.source != nil {
		errs = append(errs, r.source.close())
	}
	if r.sink != nil {
		errs = append(errs, r.sink.close())
	}
	return errors.Join(errs...)
}
