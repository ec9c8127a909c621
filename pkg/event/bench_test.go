package event_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// BenchmarkWire encodes and decodes a message of 1000 performance events.
func BenchmarkWire(b *testing.B) {
	batch := event.Batch{App: "bench", Kind: event.KindPerformance}
	for i := range 1000 {
		seq := int64(i)
		batch.Performance = append(batch.Performance, event.Performance{
			ID: event.NewID(), Timestamp: time.Now(), ReceivedAt: time.Now(), App: "bench", Instance: "bench-1", Endpoint: "/api/v1/items/{id}",
			Method: "GET", StatusCode: 200, ResponseTimeMS: 12.345, UserID: fmt.Sprintf("user%03d@example.com", i%300), AppVersion: "1.4", Seq: &seq,
		})
	}
	data := batch.Encode(nil)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		var into []byte
		for b.Loop() {
			into = batch.Encode(into[:0])
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := event.Decode(event.SchemaVersion, event.KindPerformance, data); err != nil {
				b.Fatal(err)
			}
		}
	})
}
