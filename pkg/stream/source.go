package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// Selection says which events of the log a source reads.
type Selection struct {
	App       string       // "" for all
	Kinds     []event.Kind // none for all
	From      uint64       // the first sequence; 0 for the oldest there is
	Published time.Time    // nothing published before; zero for no such bound. From wins
	Follow    bool         // from now on, without end
	Ledger    bool         // ledger reports too
}

func (s Selection) subjects() []string {
	kinds, app := s.Kinds, "*"
	if len(kinds) == 0 {
		kinds = event.Kinds()
	}
	if s.App != "" {
		app = escape(s.App)
	}
	subjects := make([]string, len(kinds))
	for i, k := range kinds {
		subjects[i] = prefix + string(k) + "." + app
	}
	if s.Ledger {
		subjects = append(subjects, prefix+ledgerKind+".*")
	}
	return subjects
}

func (s Selection) consumer() jetstream.OrderedConsumerConfig {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: s.subjects(), DeliverPolicy: jetstream.DeliverAllPolicy}
	switch {
	case s.Follow:
		cfg.DeliverPolicy = jetstream.DeliverNewPolicy
	case s.From > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, s.From
	case !s.Published.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &s.Published
	}
	return cfg
}

// Reach is what the log holds at some moment.
type Reach struct {
	Incarnation time.Time // when the stream was made; another value is another stream
	First, Last uint64    // sequences; Last is 0 for a log that never held a message
	FirstTime   time.Time // when First was published
	LastTime    time.Time
	Messages    uint64
	Bytes       uint64
}

// ReadReach asks how far the log reaches.
func ReadReach(ctx context.Context, js jetstream.JetStream) (Reach, error) {
	s, err := js.Stream(ctx, Name)
	if err != nil {
		return Reach{}, fmt.Errorf("stream %s: %w", Name, err)
	}
	info := s.CachedInfo()
	return Reach{
		Incarnation: info.Created, First: info.State.FirstSeq, Last: info.State.LastSeq, FirstTime: info.State.FirstTime,
		LastTime: info.State.LastTime, Messages: info.State.Msgs, Bytes: info.State.Bytes,
	}, nil
}

// Source reads the log without touching the writers' place in it. It survives a
// lost connection: it goes on where it was, in order.
type Source struct {
	Reach Reach // when it was opened; what is published later it does not return, unless it follows

	iter   jetstream.MessagesContext
	follow bool
	ended  bool
}

// OpenSource begins to read what the selection names.
func OpenSource(ctx context.Context, js jetstream.JetStream, sel Selection) (*Source, error) {
	reach, err := ReadReach(ctx, js)
	if err != nil {
		return nil, err
	}
	s := &Source{Reach: reach, follow: sel.Follow}
	if !sel.Follow && (reach.Messages == 0 || sel.From > reach.Last) {
		s.ended = true
		return s, nil
	}
	cons, err := js.OrderedConsumer(ctx, Name, sel.consumer())
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	if info := cons.CachedInfo(); !sel.Follow && info != nil && info.NumPending == 0 {
		s.ended = true
	}
	if s.iter, err = cons.Messages(jetstream.PullMaxBytes(prefetchBytes)); err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	return s, nil
}

// Next returns the next message, and io.EOF after the last one.
func (s *Source) Next(ctx context.Context) (*Message, error) {
	if s.ended {
		return nil, io.EOF
	}
	for {
		raw, err := s.iter.Next(jetstream.NextContext(ctx))
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, jetstream.ErrNoHeartbeat):
			continue // it looks for the server by itself
		case err != nil:
			return nil, fmt.Errorf("read the log: %w", err)
		}
		meta, err := raw.Metadata()
		if err != nil {
			return nil, fmt.Errorf("message without metadata: %w", err)
		}
		if !s.follow {
			s.ended = meta.NumPending == 0 || meta.Sequence.Stream >= s.Reach.Last
			if meta.Sequence.Stream > s.Reach.Last {
				return nil, io.EOF
			}
		}
		return newMessage(raw)
	}
}

// Close ends the reading.
func (s *Source) Close() {
	if s.iter != nil {
		s.iter.Stop()
	}
}
