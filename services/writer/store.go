package writer

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/rawstore"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// store is the writer's database: the raw tables, and what the writer says of
// itself beside them.
type store struct {
	*rawstore.Store
	pool *pgxpool.Pool
}

// putReport stores a ledger report. Its rows have ids derived from the
// report's: storing it twice changes nothing.
func (s *store) putReport(ctx context.Context, r stream.LedgerReport) error {
	n := len(r.Entries)
	ids, apps, kinds := make([][16]byte, n), make([]string, n), make([]string, n)
	outcomes, reasons, counts := make([]string, n), make([]string, n), make([]int64, n)
	for i, e := range r.Entries {
		ids[i] = derive(r.ID, i)
		apps[i], kinds[i], outcomes[i], reasons[i], counts[i] = e.App, string(e.Kind), e.Outcome, e.Reason, e.Events
	}
	_, err := s.pool.Exec(ctx, `
INSERT INTO event_ledger (id, reported_at, source, app, metric_type, outcome, reason, events)
SELECT e.id, $2, $3, e.app, e.kind, e.outcome, e.reason, e.events
  FROM unnest($1::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[]) AS e(id, app, kind, outcome, reason, events)
ON CONFLICT DO NOTHING`, ids, r.At, r.Source, apps, kinds, outcomes, reasons, counts)
	if err != nil {
		return fmt.Errorf("store ledger report: %w", err)
	}
	return nil
}

func derive(id [16]byte, i int) [16]byte {
	id[8] ^= byte(i >> 8) // the low bytes of an index
	id[9] ^= byte(i)      // as above
	return id
}

func (s *store) putStatus(ctx context.Context, part string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	_, err = s.pool.Exec(ctx, `
INSERT INTO pipeline_status (part, body) VALUES ($1, $2)
ON CONFLICT (part) DO UPDATE SET body = EXCLUDED.body, updated_at = now()`, part, data)
	if err != nil {
		return fmt.Errorf("store status: %w", err)
	}
	return nil
}

// putPosition writes down a position. Neither half of it goes back: another
// writer may have looked later, and a log that is empty at present claims a
// little less than the time of its last message.
func (s *store) putPosition(ctx context.Context, p stream.Position) error {
	_, err := s.pool.Exec(ctx, `
INSERT INTO stream_positions AS p (stream, incarnation, sequence, stored_through) VALUES ($1, $2, $3, $4)
ON CONFLICT (stream) DO UPDATE SET incarnation = EXCLUDED.incarnation, updated_at = now(),
       sequence = CASE WHEN p.incarnation = EXCLUDED.incarnation THEN greatest(p.sequence, EXCLUDED.sequence) ELSE EXCLUDED.sequence END,
       stored_through = CASE WHEN p.incarnation = EXCLUDED.incarnation THEN greatest(p.stored_through, EXCLUDED.stored_through)
                             ELSE EXCLUDED.stored_through END
 WHERE p.incarnation <> EXCLUDED.incarnation OR p.stored_through < EXCLUDED.stored_through OR p.sequence < EXCLUDED.sequence`,
		stream.Name, p.Incarnation, int64(p.Sequence), p.StoredThrough) // sequences stay below 2^63
	if err != nil {
		return fmt.Errorf("store position: %w", err)
	}
	return nil
}
