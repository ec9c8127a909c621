package metricsdb

import (
	"context"
	"fmt"
	"time"

	"github.com/lakepulse/lakepulse/pkg/stream"
)

// StoreLedgerReport stores what one source counted. Its rows have ids derived
// from the report's: storing it twice changes nothing.
func StoreLedgerReport(ctx context.Context, db DB, r stream.LedgerReport) error {
	n := len(r.Entries)
	ids, apps, kinds := make([][16]byte, n), make([]string, n), make([]string, n)
	outcomes, reasons, counts := make([]string, n), make([]string, n), make([]int64, n)
	for i, e := range r.Entries {
		ids[i] = deriveID(r.ID, i)
		apps[i], kinds[i], outcomes[i], reasons[i], counts[i] = e.App, string(e.Kind), string(e.Outcome), e.Reason, e.Events
	}
	_, err := db.Exec(ctx, `
INSERT INTO event_ledger (id, reported_at, source, app, metric_type, outcome, reason, events)
SELECT e.id, $2, $3, e.app, e.kind, e.outcome, e.reason, e.events
  FROM unnest($1::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[]) AS e(id, app, kind, outcome, reason, events)
ON CONFLICT DO NOTHING`, ids, r.At, r.Source, apps, kinds, outcomes, reasons, counts)
	if err != nil {
		return fmt.Errorf("store ledger report: %w", err)
	}
	return storeKeyUses(ctx, db, r.KeyUses)
}

// storeKeyUses notes when API keys were last used. Keys that are gone are left out.
func storeKeyUses(ctx context.Context, db DB, uses map[string]time.Time) error {
	if len(uses) == 0 {
		return nil
	}
	ids, times := make([]string, 0, len(uses)), make([]time.Time, 0, len(uses))
	for id, at := range uses {
		ids, times = append(ids, id), append(times, at)
	}
	_, err := db.Exec(ctx, `
UPDATE api_keys AS k SET last_used_at = u.at FROM unnest($1::text[], $2::timestamptz[]) AS u(id, at) WHERE k.key_id = u.id`, ids, times)
	if err != nil {
		return fmt.Errorf("store the last use of keys: %w", err)
	}
	return nil
}

func deriveID(id [16]byte, i int) [16]byte {
	id[8] ^= byte(i >> 8) // the low bytes of an index
	id[9] ^= byte(i)      // as above
	return id
}

// LedgerCount is how many events had an outcome: since the start of the ledger's
// window, and of them since the start of the recent one.
type LedgerCount struct {
	Outcome stream.Outcome
	Reason  string // of refused events; "" otherwise
	Events  int64
	Recent  int64
}

// CountLedger counts events by outcome, and those refused by reason too.
func CountLedger(ctx context.Context, db DB, since, recent time.Time, each func(LedgerCount)) error {
	var c LedgerCount
	return queryRows(ctx, db, "read ledger", countLedger, []any{since, recent, stream.OutcomeRefused},
		[]any{&c.Outcome, &c.Reason, &c.Events, &c.Recent}, func() error { each(c); return nil })
}

const countLedger = `
SELECT outcome, CASE WHEN outcome = $3 THEN reason ELSE '' END, least(sum(events), 9223372036854775807)::bigint,
       least(coalesce(sum(events) FILTER (WHERE reported_at >= $2), 0), 9223372036854775807)::bigint
  FROM event_ledger WHERE reported_at >= $1 GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 200`
