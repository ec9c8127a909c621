package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// Outcome is what became of an event, in the ledger.
type Outcome string

// The outcomes.
const (
	OutcomeAccepted   Outcome = "accepted"   // answered 202, so durable in the log
	OutcomeRefused    Outcome = "refused"    // invalid; the reason is the field
	OutcomeDropped    Outcome = "dropped"    // given up by a sender, as it reported
	OutcomeStored     Outcome = "stored"     // a new row
	OutcomeDuplicate  Outcome = "duplicate"  // the row existed already
	OutcomeSummarised Outcome = "summarised" // below the purge line: the aggregates count it
	OutcomeDead       Outcome = "dead"       // in the dead letters
)

// LedgerEntry counts events of one app and kind that shared a fate.
type LedgerEntry struct {
	App     string     `json:"app"`
	Kind    event.Kind `json:"kind"`
	Outcome Outcome    `json:"outcome"`
	Reason  string     `json:"reason,omitempty"`
	Events  int64      `json:"events"`
}

// AddCounts returns the sum of two counts that are 0 or more, the largest count
// where there is no such sum: senders' counts are theirs to make up.
func AddCounts(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// LedgerReport is what one source counted since its last report. Its id makes
// storing it twice harmless.
type LedgerReport struct {
	ID      uuid.UUID     `json:"id"`
	At      time.Time     `json:"at"`
	Source  string        `json:"source"` // role/instance
	Entries []LedgerEntry `json:"entries"`
	// KeyUses says when API keys were last used, by the id of the key.
	KeyUses map[string]time.Time `json:"key_uses,omitempty"`
}

// PublishLedger puts a report onto the log.
func PublishLedger(ctx context.Context, js msgPublisher, r LedgerReport) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode ledger report: %w", err)
	}
	msg := nats.NewMsg(prefix + ledgerKind + ".ingest")
	msg.Data = data
	if _, err := js.PublishMsg(ctx, msg, jetstream.WithExpectStream(Name)); err != nil {
		return fmt.Errorf("publish ledger report: %w", err)
	}
	return nil
}

// DecodeLedger returns the report a ledger message carries.
func (m *Message) DecodeLedger() (LedgerReport, error) {
	var r LedgerReport
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return r, fmt.Errorf("decode ledger report: %w", err)
	}
	if r.ID == uuid.Nil || r.At.IsZero() {
		return r, fmt.Errorf("ledger report without id or time")
	}
	return r, nil
}
