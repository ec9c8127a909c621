package stream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
)

// The bounds of a message: below the megabyte that a NATS server takes unless
// told otherwise, by so much that any of them still fits as a dead letter, with
// the headers that get added there. A group is closed once it holds groupBytes or groupEvents, and
// one piece of a batch adds pieceBytes to it at most. A server that takes less says so
// when it is connected to, and sizesOf follows it.
const (
	headerRoom  = 8 << 10
	maxMessage  = 1<<20 - headerRoom
	groupBytes  = 512 << 10
	groupEvents = 4000
	pieceBytes  = 256 << 10
)

// HeaderCorrelation lists the correlation ids of the requests whose events a
// message carries, so that a batch can be followed from request to commit.
const HeaderCorrelation = "Lakepulse-Correlation-Ids"

const (
	maxCorrelations = 16
	publishTimeout  = 5 * time.Second
	retryAfter      = 2 * time.Second
)

// msgPublisher is the part of jetstream.JetStream that publishing needs.
type msgPublisher interface {
	PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error)
}

// Publisher puts batches onto the log. It is safe for concurrent use.
type Publisher struct {
	js      msgPublisher
	confirm *confirmations // nil: durable in the log is enough
	mu      sync.Mutex
	lanes   map[string]*lane
	failed  atomic.Pointer[failure] // the last publish, if it failed
}

// failure is why a publish failed, and when.
type failure struct {
	cause error
	at    time.Time
}

// failureLasts is how long a failed publish speaks against the log: without
// traffic nothing would ever speak for it again.
const failureLasts = 10 * time.Second

// Trouble returns why the last publish failed, nil when it succeeded or was a
// while ago.
func (p *Publisher) Trouble() error {
	if f := p.failed.Load(); f != nil && time.Since(f.at) < failureLasts {
		return f.cause
	}
	return nil
}

// NewPublisher returns a publisher to js.
func NewPublisher(js msgPublisher) *Publisher {
	return &Publisher{js: js, lanes: map[string]*lane{}}
}

// sizes are the bounds of messages and their parts, in bytes.
type sizes struct{ message, group, piece int }

// sizesOf returns the bounds under a server's max_payload, 0 for unknown.
func sizesOf(maxPayload int64) sizes {
	message := maxMessage
	if maxPayload > 0 {
		message = min(message, int(maxPayload-min(headerRoom, maxPayload/4)))
	}
	piece := min(pieceBytes, message/3)
	return sizes{message: message, group: min(groupBytes, message-piece), piece: piece}
}

// sizes asks the connection what its server takes.
func (p *Publisher) sizes() sizes {
	js, ok := p.js.(interface{ Conn() *nats.Conn })
	if !ok || js.Conn() == nil {
		return sizesOf(0)
	}
	return sizesOf(js.Conn().MaxPayload())
}

// NewConfirmingPublisher returns a publisher whose Publish returns only after a
// writer has committed the batch to the database, or fails after timeout. It is
// for a log on a disk that does not last.
func NewConfirmingPublisher(js msgPublisher, nc *nats.Conn, timeout time.Duration) (*Publisher, error) {
	confirm, err := newConfirmations(nc, timeout)
	if err != nil {
		return nil, err
	}
	p := NewPublisher(js)
	p.confirm = confirm
	return p, nil
}

// lane is one subject: at most one message of it is under way, and one group
// or more are waiting to be the next.
type lane struct {
	busy  bool
	queue []*group
}

// group is the batches that will share a message.
type group struct {
	data         []byte
	events       int
	correlations []string
	done         chan struct{} // closed once err and confirmation are set
	err          error
	confirmation Confirmation // of a confirming publisher
}

// takes reports whether a piece still fits into the group.
func (g *group) takes(e piece, bound sizes) bool {
	return g.events < groupEvents && len(g.data) < bound.group && len(g.data)+len(e.data) <= bound.message
}

// Publish puts the batch onto the log and returns once all of it is durable
// there. The error is a *fault.Error of code Unavailable: nothing may be
// promised to the sender. When it fails, or ctx ends first, part of the batch
// may still be durable; the sender repeats it under the same event ids, and
// each event is stored once. Of code TooLarge it says that repeating is in vain:
// one event alone is more than the NATS server takes.
//
// A confirming publisher returns once the batch is committed to the database;
// its error is a *NotStoredError when events of the batch became dead letters and
// all others are committed.
func (p *Publisher) Publish(ctx context.Context, b *event.Batch, correlation string) error {
	if p.confirm != nil {
		if err := p.confirm.admit(); err != nil {
			return err
		}
	}
	subject := Subject(b.Kind, b.App)
	var lost *NotStoredError
	bound := p.sizes()
	if err := bound.refuse(b); err != nil {
		return err
	}
	for _, g := range p.join(subject, b, correlation, bound) {
		select {
		case <-g.done:
			if g.err != nil {
				return g.err
			}
			lost = lost.plus(g.confirmation.notStored(b))
		case <-ctx.Done():
			return fault.Wrap(ctx.Err(), fault.Unavailable, "The event log did not answer in time").After(retryAfter)
		}
	}
	if lost != nil {
		return lost
	}
	return nil
}

// join adds the batch to the waiting groups of its subject, and starts the lane
// when it stands still. It returns the groups that now hold the batch.
func (p *Publisher) join(subject string, b *event.Batch, correlation string, bound sizes) []*group {
	var encoded []piece
	for part, size := range pieces(b, bound.piece) {
		encoded = append(encoded, piece{part.Encode(make([]byte, 0, size)), part.Len()})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[subject]
	if l == nil {
		l = &lane{}
		p.lanes[subject] = l
	}
	var joined []*group
	for _, e := range encoded {
		g := l.open(e, bound)
		g.add(e)
		if len(joined) == 0 || joined[len(joined)-1] != g {
			joined = append(joined, g)
			g.correlate(correlation)
		}
	}
	if !l.busy {
		l.busy = true
		go p.run(subject, l)
	}
	return joined
}

// piece is a part of a batch, encoded.
type piece struct {
	data   []byte
	events int
}

// add puts a piece behind what the group holds. Encoded batches of one app, one
// after the other, are one encoded batch: protobuf merges repeated fields.
func (g *group) add(e piece) {
	if g.data == nil {
		g.data = e.data
	} else {
		g.data = append(g.data, e.data...)
	}
	g.events += e.events
}

// open returns the group that takes more: the last that waits, or a new one.
func (l *lane) open(e piece, bound sizes) *group {
	if n := len(l.queue); n == 0 || !l.queue[n-1].takes(e, bound) {
		l.queue = append(l.queue, &group{done: make(chan struct{})})
	}
	return l.queue[len(l.queue)-1]
}

func (g *group) correlate(id string) {
	if id != "" && len(g.correlations) < maxCorrelations {
		g.correlations = append(g.correlations, id)
	}
}

// refuse returns an error for a batch with an event that no message can carry.
func (s sizes) refuse(b *event.Batch) error {
	for i := range b.Len() {
		if n := b.SizeHint(i) + len(b.App) + 8; n > s.message {
			return fault.New(fault.TooLarge, "An event takes up to %d bytes, the event log at most %d: its NATS server has a small max_payload", n, s.message)
		}
	}
	return nil
}

// pieces cuts a batch where its encoding could pass most bytes, and says how many
// bytes each may take. Nearly every batch is one piece.
func pieces(b *event.Batch, most int) iter.Seq2[event.Batch, int] {
	return func(yield func(event.Batch, int) bool) {
		head := len(b.App) + 8
		from, size := 0, head
		for i := range b.Len() {
			n := b.SizeHint(i)
			if size+n > most && i > from {
				if !yield(b.Slice(from, i), size) {
					return
				}
				from, size = i, head
			}
			size += n
		}
		yield(b.Slice(from, b.Len()), size)
	}
}

// run publishes the lane's groups until none is waiting.
func (p *Publisher) run(subject string, l *lane) {
	for {
		p.mu.Lock()
		if len(l.queue) == 0 {
			l.busy = false
			delete(p.lanes, subject) // apps come and go: a lane lives while it has work
			p.mu.Unlock()
			return
		}
		g := l.queue[0]
		l.queue = l.queue[1:]
		p.mu.Unlock()
		if p.confirm == nil {
			g.err = p.send(subject, g, "")
			close(g.done)
			continue
		}
		// The next group does not wait for this one's commit: the writer stores
		// what has gathered meanwhile in one transaction.
		answer := p.confirm.expect(g)
		if err := p.send(subject, g, answer); err != nil {
			p.confirm.finish(answer, Confirmation{}, err)
		}
	}
}

// send publishes a group. The answer is the subject a writer confirms it on, ""
// for none.
func (p *Publisher) send(subject string, g *group, answer string) error {
	ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
	defer cancel()
	msg := nats.NewMsg(subject)
	msg.Header.Set(event.HeaderSchema, strconv.Itoa(event.SchemaVersion))
	if len(g.correlations) > 0 {
		msg.Header.Set(HeaderCorrelation, strings.Join(g.correlations, ","))
	}
	if answer != "" {
		msg.Header.Set(HeaderConfirm, answer)
	}
	msg.Data = g.data
	if _, err := p.js.PublishMsg(ctx, msg, jetstream.WithExpectStream(Name)); err != nil {
		err = refused(err)
		p.failed.Store(&failure{cause: errors.Unwrap(err), at: time.Now()})
		return err
	}
	p.failed.Store(nil)
	return nil
}

// errStoreFull are JetStream's codes for a log that takes no more: the stream's
// or the account's bound is reached, or the disk is full.
var errStoreFull = map[jetstream.ErrorCode]bool{10023: true, 10047: true, 10077: true}

// codeMessageTooLarge is JetStream's answer to a message over the stream's bound.
const codeMessageTooLarge jetstream.ErrorCode = 10054

// refused tells a full log from one that is away, and both from a message that
// will never be taken: the first wakes an operator, the last stops the sender.
func refused(err error) error {
	api, isAPI := errors.AsType[*jetstream.APIError](err)
	if errors.Is(err, nats.ErrMaxPayload) || isAPI && api.ErrorCode == codeMessageTooLarge {
		return fault.Wrap(err, fault.TooLarge, "The event log takes no message of this size")
	}
	if isAPI && errStoreFull[api.ErrorCode] {
		return fault.Wrap(fmt.Errorf("the log is full: %w", err), fault.Unavailable, "The event log takes no more events at present").After(30 * time.Second)
	}
	return fault.Wrap(err, fault.Unavailable, "The event log is not available").After(retryAfter)
}
