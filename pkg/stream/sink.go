package stream

import (
	"context"
	"time"

	"github.com/lakepulse/lakepulse/pkg/client"
	"github.com/lakepulse/lakepulse/pkg/event"
)

// Sink lets a client put its records straight onto the log, for programs that
// have a connection to it anyway. It implements client.Sink.
type Sink struct {
	Publisher *Publisher
	Now       func() time.Time
	// Accepted is told of every batch that became durable, and of what the client
	// had to drop before it, so that the ledger balances; may be nil.
	Accepted func(b *event.Batch, dropped int64)
}

// Send implements client.Sink: it returns once the batch is durable.
func (s Sink) Send(ctx context.Context, b *event.Batch, dropped int64) (client.Result, error) {
	now := s.Now().UTC().Truncate(time.Microsecond)
	for i := range b.Performance {
		b.Performance[i].ReceivedAt = now
	}
	for i := range b.Usage {
		b.Usage[i].ReceivedAt = now
	}
	if err := s.Publisher.Publish(ctx, b, ""); err != nil {
		return client.Result{}, err
	}
	if s.Accepted != nil {
		s.Accepted(b, dropped)
	}
	return client.Result{Accepted: b.Len(), ServerTime: now}, nil
}
