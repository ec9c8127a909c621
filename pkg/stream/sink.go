package stream

import (
	"context"
	"time"

	"github.com/google/uuid"

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

// batchOf returns a client's batch as the events that the log carries.
func batchOf(b *lakepulse.Batch, received time.Time) *event.Batch {
	out := &event.Batch{App: b.App, Kind: event.Kind(b.Kind)}
	for i := range b.Performance {
		out.Performance = append(out.Performance, performanceOf(&b.Performance[i], received))
	}
	for i := range b.Usage {
		out.Usage = append(out.Usage, usageOf(&b.Usage[i], received))
	}
	return out
}

func performanceOf(p *lakepulse.Performance, received time.Time) event.Performance {
	return event.Performance{
		ID: uuid.UUID(p.ID), Timestamp: p.Timestamp, App: p.App, Instance: p.Instance, Endpoint: p.Endpoint, Method: p.Method,
		StatusCode: p.StatusCode, ResponseTimeMS: p.ResponseTimeMS, UserID: p.UserID, ErrorType: p.ErrorType,
		AppVersion: p.AppVersion, SessionID: p.SessionID, InteractionID: p.InteractionID, TraceID: p.TraceID,
		CorrelationID: p.CorrelationID, Seq: p.Seq, ReceivedAt: received,
	}
}

func usageOf(u *lakepulse.Usage, received time.Time) event.Usage {
	return event.Usage{
		ID: uuid.UUID(u.ID), Timestamp: u.Timestamp, App: u.App, EventType: u.EventType, UserID: u.UserID,
		PageName: u.PageName, ElementID: u.ElementID, Success: u.Success, Metadata: u.Metadata, AppVersion: u.AppVersion,
		SessionID: u.SessionID, InteractionID: u.InteractionID, ReceivedAt: received,
	}
}
