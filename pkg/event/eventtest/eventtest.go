// Package eventtest makes valid events for tests. What it makes for the same
// arguments differs in nothing but the ids.
package eventtest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// Performance returns a batch of n requests to app, one every millisecond from
// at on, some of them errors and some anonymous.
func Performance(app string, n int, at time.Time) *event.Batch {
	b := &event.Batch{App: app, Kind: event.KindPerformance}
	for i := range n {
		seq := int64(i)
		p := event.Performance{
			ID: event.NewID(), Timestamp: at.Add(time.Duration(i) * time.Millisecond), App: app, Instance: app + "-1",
			Endpoint: fmt.Sprintf("/api/things/%d", i%7), Method: "GET", StatusCode: 200 + 100*(i%4),
			ResponseTimeMS: float64(1+i%50) / 4, AppVersion: "1.0", SessionID: "tab-1", InteractionID: "click-1",
			TraceID: "trace-1", CorrelationID: "correlation-1", Seq: &seq, ReceivedAt: at,
		}
		if i%3 > 0 {
			p.UserID = fmt.Sprintf("user%d@example.com", i%11)
		}
		p.Normalize()
		b.Performance = append(b.Performance, p)
	}
	return b
}

// Usage returns a batch of n interactions with app, one every millisecond from
// at on.
func Usage(app string, n int, at time.Time) *event.Batch {
	b := &event.Batch{App: app, Kind: event.KindUsage}
	for i := range n {
		seq, good := int64(i), i%2 == 0
		u := event.Usage{
			ID: event.NewID(), Timestamp: at.Add(time.Duration(i) * time.Millisecond), App: app, EventType: event.TypeButtonClick,
			UserID: fmt.Sprintf("user%d@example.com", i%11), PageName: "/things", ElementID: "save", Success: &good,
			Metadata: json.RawMessage(fmt.Sprintf(`{"n": %d}`, i)), AppVersion: "1.0", SessionID: "tab-1", InteractionID: "click-1",
			Seq: &seq, ReceivedAt: at,
		}
		u.Normalize()
		b.Usage = append(b.Usage, u)
	}
	return b
}

// IDs returns the ids of the batches' events, in order.
func IDs(batches ...*event.Batch) []uuid.UUID {
	var ids []uuid.UUID
	for _, b := range batches {
		for i := range b.Performance {
			ids = append(ids, b.Performance[i].ID)
		}
		for i := range b.Usage {
			ids = append(ids, b.Usage[i].ID)
		}
	}
	return ids
}
