package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// prefetchBytes bounds what one writer holds of the log in memory.
const prefetchBytes = 8 << 20

// Message is one message of the log in a writer's hands.
type Message struct {
	Subject   string
	Kind      event.Kind // "ledger" for ledger reports
	App       string
	Sequence  uint64    // in the stream
	Published time.Time // the server's clock
	Delivered uint64    // how many times it was handed out; 1 = the first
	Data      []byte

	raw jetstream.Msg
}

// IsLedger reports whether the message is a ledger report instead of events.
func (m *Message) IsLedger() bool { return m.Kind == ledgerKind }

// Version returns the schema version the message names. A message without one,
// or with one that is no number, has version 0, which no decoder knows.
func (m *Message) Version() int {
	n, err := strconv.Atoi(m.raw.Headers().Get(event.HeaderSchema))
	if err != nil {
		return 0
	}
	return n
}

// Correlations returns the correlation ids of the requests that are in it.
func (m *Message) Correlations() []string {
	list := m.raw.Headers().Get(HeaderCorrelation)
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// Decode returns the events the message carries. An error is the message's own
// fault: no retry cures it.
func (m *Message) Decode() (*event.Batch, error) {
	b := &event.Batch{}
	return b, m.DecodeInto(b)
}

// DecodeInto is Decode into a batch whose lists are used again.
func (m *Message) DecodeInto(b *event.Batch) error {
	if err := b.Decode(m.Version(), m.Kind, m.Data); err != nil {
		return err
	}
	if b.App != m.App {
		return fmt.Errorf("a batch of app %q on the subject of app %q", b.App, m.App)
	}
	return nil
}

// Ack tells the log that the message's events are durable elsewhere. An ack may
// get lost: the message then comes again.
func (m *Message) Ack() error { return m.raw.Ack() }

// Hold tells the log that the message is still being worked on.
func (m *Message) Hold() error { return m.raw.InProgress() }

// GiveBack hands the message back at once, to be delivered again.
func (m *Message) GiveBack() error { return m.raw.Nak() }

// Reader delivers messages of the log to a writer, each to one of all writers
// until its ack wait is over.
type Reader struct {
	iter jetstream.MessagesContext
}

// OpenReader joins the writers' shared consumer, which it makes if need be.
func OpenReader(ctx context.Context, js jetstream.JetStream, t Topology) (*Reader, error) {
	cons, err := js.CreateOrUpdateConsumer(ctx, Name, t.consumer())
	if err != nil {
		return nil, fmt.Errorf("consumer %s: %w", Consumer, err)
	}
	iter, err := cons.Messages(jetstream.PullMaxBytes(prefetchBytes))
	if err != nil {
		return nil, fmt.Errorf("pull messages: %w", err)
	}
	return &Reader{iter: iter}, nil
}

// AllStored reports whether the writers have acknowledged every message of the log.
func AllStored(ctx context.Context, js jetstream.JetStream) (bool, error) {
	cons, err := js.Consumer(ctx, Name, Consumer)
	if err != nil {
		return false, fmt.Errorf("consumer %s: %w", Consumer, err)
	}
	info := cons.CachedInfo() // as fresh as the call above
	return info.NumPending == 0 && info.NumAckPending == 0, nil
}

// ErrReaderClosed is returned by Next after Close.
var ErrReaderClosed = errors.New("stream: reader closed")

// Next waits for the next message. Other errors than [ErrReaderClosed] are
// passing: the reader goes on by itself.
func (r *Reader) Next() (*Message, error) {
	raw, err := r.iter.Next()
	if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
		return nil, ErrReaderClosed
	}
	if err != nil {
		return nil, fmt.Errorf("next message: %w", err)
	}
	return newMessage(raw)
}

// Close ends Next, also one that waits. What was fetched and not taken is
// delivered again, to whoever asks, after its ack wait.
func (r *Reader) Close() { r.iter.Stop() }

// Drain stops asking for messages. Next goes on to return what was fetched, then
// ErrReaderClosed: time to give it back.
func (r *Reader) Drain() { r.iter.Drain() }

func newMessage(raw jetstream.Msg) (*Message, error) {
	meta, err := raw.Metadata()
	if err != nil {
		return nil, fmt.Errorf("message without metadata: %w", err)
	}
	m := &Message{
		Subject: raw.Subject(), Sequence: meta.Sequence.Stream, Published: meta.Timestamp,
		Delivered: meta.NumDelivered, Data: raw.Data(), raw: raw,
	}
	m.Kind, m.App = Parse(m.Subject)
	return m, nil
}
