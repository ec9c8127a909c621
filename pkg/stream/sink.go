package stream

import (
	"context"
	"time"

	lakepulse "github.com/lakepulse/lakepulse/clients/go"
	"github.com/lakepulse/lakepulse/pkg/event"
)

// Sink lets a client put its records straight onto the log, for programs that
// have a connection to it anyway. It implements lakepulse.Sink.
type Sink struct {
	Publisher *Publisher
	Now       func() time.Time
	// Accepted is told of every batch that became durable, and of what the client
	// had to drop before it, so that the ledger balances; may be nil.
	Accepted func(b *event.Batch, dropped int64)
}

// Send implements lakepulse.Sink: it returns once the batch is durable.
func (s Sink) Send(ctx context.Context, b *lakepulse.Batch, dropped int64) (lakepulse.Result, error) {
	now := s.Now().UTC().Truncate(time.Microsecond)
	batch := batchOf(b, now)
	if err := s.Publisher.Publish(ctx, batch, ""); err != nil {
		return lakepulse.Result{}, err
	}
	if s.Accepted != nil {
		s.Accepted(batch, dropped)
	}
	return lakepulse.Result{Accepted: batch.Len(), ServerTime: now}, nil
}
