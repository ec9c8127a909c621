package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// The headers of a dead letter, beside those of the original message.
const (
	HeaderReason           = "Lakepulse-Reason"
	HeaderFirstSeen        = "Lakepulse-First-Seen" // RFC 3339, when a writer first met it
	HeaderCodeVersion      = "Lakepulse-Code-Version"
	HeaderOriginalSubject  = "Lakepulse-Original-Subject"
	HeaderOriginalSequence = "Lakepulse-Original-Sequence"
)

const maxReason = 1000

// Grave is where dead letters go.
type Grave struct {
	JS          msgPublisher
	CodeVersion string
	Now         func() time.Time
}

// Remains is what a writer cannot store of a message.
type Remains struct {
	Event  *event.Batch // the one event that is to blame; nil for the whole message
	Part   string       // names it within the message, so that burying twice leaves one grave
	Reason error
}

// Bury puts what a writer cannot store of m onto the dead-letter stream. It
// returns after the dead letter is durable; only then may m be acknowledged.
func (g Grave) Bury(ctx context.Context, m *Message, what Remains) error {
	msg := nats.NewMsg(DeadSubject(m.Kind, m.App))
	if m.Kind == "" {
		msg.Subject = deadPrefix + "unknown"
	}
	msg.Header = nats.Header{}
	for _, key := range []string{event.HeaderSchema, HeaderCorrelation} {
		if v := m.raw.Headers().Get(key); v != "" {
			msg.Header.Set(key, v)
		}
	}
	msg.Data = m.Data
	if what.Event != nil { // encoded anew, whatever version it came in
		msg.Data = what.Event.Encode(nil)
		msg.Header.Set(event.HeaderSchema, strconv.Itoa(event.SchemaVersion))
	}
	text := what.Reason.Error()
	msg.Header.Set(HeaderReason, headerSafe(text[:min(len(text), maxReason)]))
	msg.Header.Set(HeaderFirstSeen, g.Now().UTC().Format(time.RFC3339Nano))
	msg.Header.Set(HeaderCodeVersion, g.CodeVersion)
	msg.Header.Set(HeaderOriginalSubject, m.Subject)
	msg.Header.Set(HeaderOriginalSequence, strconv.FormatUint(m.Sequence, 10))
	id := strconv.FormatUint(m.Sequence, 10) + "-" + what.Part
	if _, err := g.JS.PublishMsg(ctx, msg, jetstream.WithMsgID(id), jetstream.WithExpectStream(DeadName)); err != nil {
		return fmt.Errorf("dead-letter message %d: %w", m.Sequence, err)
	}
	return nil
}

// headerSafe keeps a reason on one line: a header cannot carry more.
func headerSafe(s string) string {
	out := []byte(s)
	for i, c := range out {
		if c < ' ' || c == 0x7f {
			out[i] = ' '
		}
	}
	return string(out)
}

// DeadLetter is one entry of the dead-letter stream.
type DeadLetter struct {
	Sequence         uint64 // in METRICS_DEAD
	Kind             event.Kind
	App              string
	Reason           string
	FirstSeen        time.Time
	CodeVersion      string
	OriginalSubject  string
	OriginalSequence uint64
	SchemaVersion    int
	Headers          map[string][]string
	Data             []byte
}

// ErrNoDeadLetter is returned for a sequence that holds no dead letter.
var ErrNoDeadLetter = errors.New("stream: no such dead letter")

// GetDead returns one dead letter.
func GetDead(ctx context.Context, js jetstream.JetStream, sequence uint64) (*DeadLetter, error) {
	s, err := js.Stream(ctx, DeadName)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", DeadName, err)
	}
	raw, err := s.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, fmt.Errorf("%w: %d", ErrNoDeadLetter, sequence)
	}
	if err != nil {
		return nil, fmt.Errorf("dead letter %d: %w", sequence, err)
	}
	return newDeadLetter(raw), nil
}

// ListDead returns up to limit dead letters, the oldest first, from sequence on.
func ListDead(ctx context.Context, js jetstream.JetStream, from uint64, limit int) ([]*DeadLetter, error) {
	s, err := js.Stream(ctx, DeadName)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", DeadName, err)
	}
	var list []*DeadLetter
	for next := max(from, 1); len(list) < limit; {
		raw, err := s.GetMsg(ctx, next, jetstream.WithGetMsgSubject(deadPrefix+">"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("dead letters from %d: %w", next, err)
		}
		list = append(list, newDeadLetter(raw))
		next = raw.Sequence + 1
	}
	return list, nil
}

// CountDead returns how many dead letters there are.
func CountDead(ctx context.Context, js jetstream.JetStream) (uint64, error) {
	s, err := js.Stream(ctx, DeadName)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", DeadName, err)
	}
	return s.CachedInfo().State.Msgs, nil
}

// DropDead removes a dead letter for good; ErrNoDeadLetter when it is gone already.
func DropDead(ctx context.Context, js jetstream.JetStream, sequence uint64) error {
	s, err := js.Stream(ctx, DeadName)
	if err != nil {
		return fmt.Errorf("stream %s: %w", DeadName, err)
	}
	err = s.DeleteMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) { // which does not say why
		if _, gone := GetDead(ctx, js, sequence); errors.Is(gone, ErrNoDeadLetter) {
			return gone
		}
	}
	if err != nil {
		return fmt.Errorf("drop dead letter %d: %w", sequence, err)
	}
	return nil
}

// Requeue puts a dead letter back onto the log as it was, then drops it. Doing
// it again, or dying half-way, stores nothing twice: the events keep their ids.
func Requeue(ctx context.Context, js jetstream.JetStream, d *DeadLetter) error {
	msg := nats.NewMsg(d.OriginalSubject)
	msg.Header.Set(event.HeaderSchema, strconv.Itoa(d.SchemaVersion))
	msg.Data = d.Data
	if _, err := js.PublishMsg(ctx, msg, jetstream.WithExpectStream(Name)); err != nil {
		return fmt.Errorf("requeue dead letter %d: %w", d.Sequence, err)
	}
	if err := DropDead(ctx, js, d.Sequence); !errors.Is(err, ErrNoDeadLetter) {
		return err
	}
	return nil // somebody else has requeued it as well: its events are stored once all the same
}

func newDeadLetter(raw *jetstream.RawStreamMsg) *DeadLetter {
	h := raw.Header
	d := &DeadLetter{
		Sequence: raw.Sequence, Reason: h.Get(HeaderReason), CodeVersion: h.Get(HeaderCodeVersion),
		OriginalSubject: h.Get(HeaderOriginalSubject), Data: raw.Data, FirstSeen: raw.Time, Headers: h,
	}
	d.Kind, d.App = Parse(raw.Subject)
	if t, err := time.Parse(time.RFC3339Nano, h.Get(HeaderFirstSeen)); err == nil {
		d.FirstSeen = t
	}
	if n, err := strconv.ParseUint(h.Get(HeaderOriginalSequence), 10, 64); err == nil {
		d.OriginalSequence = n
	}
	if n, err := strconv.Atoi(h.Get(event.HeaderSchema)); err == nil {
		d.SchemaVersion = n
	}
	return d
}
