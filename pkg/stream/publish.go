package stream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
)

// The bounds of a message: below the megabyte that a NATS server takes unless
// told otherwise, by so much that any of them still fits as a dead letter, with
// the headers that get added there. A group is closed once it holds groupBytes or groupEvents, and
// one piece of a batch adds pieceBytes to it at most.
const (
	maxMessage  = 1<<20 - 8<<10
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
}

// NewPublisher returns a publisher to js.
func NewPublisher(js msgPublisher) *Publisher {
	return &Publisher{js: js, lanes: map[string]*lane{}}
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

func (g *group) full() bool { return g.events >= groupEvents || len(g.data) >= groupBytes }

// Publish puts the batch onto the log and returns once all of it is durable
// there. The error is a *fault.Error of code Unavailable: nothing may be
// promised to the sender. When it fails, or ctx ends first, part of the batch
// may still be durable; the sender repeats it under the same event ids, and
// each event is stored once.
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
	for _, g := range p.join(subject, b, correlation) {
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
func (p *Publisher) join(subject string, b *event.Batch, correlation string) []*group {
	var encoded []piece
	for part, size := range pieces(b) {
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
		g := l.open()
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
func (l *lane) open() *group {
	if n := len(l.queue); n == 0 || l.queue[n-1].full() {
		l.queue = append(l.queue, &group{done: make(chan struct{})})
	}
	return l.queue[len(l.queue)-1]
}

func (g *group) correlate(id string) {
	if id != "" && len(g.correlations) < maxCorrelations {
		g.correlations = append(g.correlations, id)
	}
}

// pieces cuts a batch where its encoding could pass pieceBytes, and says how many
// bytes each may take. Nearly every batch is one piece.
func pieces(b *event.Batch) iter.Seq2[event.Batch, int] {
	return func(yield func(event.Batch, int) bool) {
		head := len(b.App) + 8
		from, size := 0, head
		for i := range b.Len() {
			n := b.SizeHint(i)
			if size+n > pieceBytes && i > from {
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
		return refused(err)
	}
	return nil
}

// errStoreFull are JetStream's codes for a log that takes no more: the stream's
// or the account's bound is reached, or the disk is full.
var errStoreFull = map[jetstream.ErrorCode]bool{10023: true, 10047: true, 10077: true}

// refused tells a full log from one that is away: the first wakes an operator.
func refused(err error) error {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && errStoreFull[api.ErrorCode] {
		return fault.Wrap(fmt.Errorf("the log is full: %w", err), fault.Unavailable, "The event log takes no more events at present").After(30 * time.Second)
	}
	return fault.Wrap(err, fault.Unavailable, "The event log is not available").After(retryAfter)
}
