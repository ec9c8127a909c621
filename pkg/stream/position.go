package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Position is how far the writers are, as the log itself knows it.
type Position struct {
	Incarnation time.Time // when the stream was made; another value is another stream
	// Sequence is the highest below and at which every message is acknowledged,
	// so durable elsewhere.
	Sequence uint64
	// StoredThrough: every message published before it is acknowledged.
	StoredThrough time.Time
	Messages      uint64 // in the stream
	Bytes         uint64
	Waiting       uint64 // messages not acknowledged yet
	LastSequence  uint64
}

// clockSlack is taken off a position that rests on our clock instead of a
// message's time: servers' clocks differ.
const clockSlack = 2 * time.Second

// ReadPosition asks the log how far the writers' consumer is. now is read
// before the question, so that what is published meanwhile is not claimed.
func ReadPosition(ctx context.Context, js jetstream.JetStream, now func() time.Time) (Position, error) {
	asked := now()
	s, err := js.Stream(ctx, Name)
	if err != nil {
		return Position{}, fmt.Errorf("stream %s: %w", Name, err)
	}
	cons, err := s.Consumer(ctx, Consumer)
	if err != nil {
		return Position{}, fmt.Errorf("consumer %s: %w", Consumer, err)
	}
	info, state := cons.CachedInfo(), s.CachedInfo()
	p := Position{
		Incarnation: state.Created, Sequence: info.AckFloor.Stream, Messages: state.State.Msgs, Bytes: state.State.Bytes,
		Waiting: info.NumPending + uint64(info.NumAckPending), LastSequence: state.State.LastSeq,
	}
	if p.Waiting == 0 && p.Sequence >= p.LastSequence {
		p.StoredThrough = asked.Add(-clockSlack)
		return p, nil
	}
	return p, p.lookAt(ctx, s, max(p.Sequence+1, state.State.FirstSeq), asked)
}

// Unstored returns how many messages the writers have not acknowledged, and up to
// which sequence they have. Without a consumer, which the first writer makes,
// everything waits. It reads no message.
func Unstored(ctx context.Context, js jetstream.JetStream) (messages, sequence uint64, err error) {
	s, err := js.Stream(ctx, Name)
	if err != nil {
		return 0, 0, fmt.Errorf("stream %s: %w", Name, err)
	}
	cons, err := s.Consumer(ctx, Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return s.CachedInfo().State.Msgs, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("consumer %s: %w", Consumer, err)
	}
	info := cons.CachedInfo()
	return info.NumPending + uint64(info.NumAckPending), info.AckFloor.Stream, nil
}

// lookAt sets StoredThrough to when the first message at or after sequence was
// published: the oldest that may not be stored yet. A consumer that is just
// being made says that nothing waits, so that alone is not believed.
func (p *Position) lookAt(ctx context.Context, s jetstream.Stream, sequence uint64, asked time.Time) error {
	raw, err := s.GetMsg(ctx, sequence, jetstream.WithGetMsgSubject(prefix+">"))
	switch {
	case err == nil:
		p.Waiting = max(p.Waiting, 1)
		p.StoredThrough = raw.Time
	case errors.Is(err, jetstream.ErrMsgNotFound) && p.Waiting == 0: // the rest of the log has expired
		p.StoredThrough = asked.Add(-clockSlack)
	default:
		// Also a message that waits and is not found: a replica that is behind has
		// answered, and claiming that all is stored would let a purge pass it.
		return fmt.Errorf("message %d: %w", sequence, err)
	}
	return nil
}
