package verify

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// explain finds out why the sides of a bucket differ.
func (v *verification) explain(ctx context.Context, c *Comparison, l *logged) error {
	rows, err := v.tx.Query(ctx, fmt.Sprintf(`SELECT id, "timestamp", received_at FROM %s
 WHERE "timestamp" >= $1 AND "timestamp" < $2 AND app = $3 AND get_byte(uuid_send(id), 15) %% $4 = $5`, metricsdb.RawTable(c.Kind)),
		later(c.Hour, v.from), c.Hour.Add(time.Hour), c.App, int64(v.parts), int64(v.part))
	if err != nil {
		return fmt.Errorf("list ids: %w", err)
	}
	var have []key
	var id uuid.UUID
	var at, received time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &at, &received}, func() error {
		k := key{id, at.UnixMicro()}
		have = append(have, k)
		switch {
		case found(l.must, k), found(l.maybe, k):
		case received.Before(v.before):
			c.Older++
		default:
			c.SurplusAll++
			if len(c.Surplus) < v.ShowIDs {
				c.Surplus = append(c.Surplus, id)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("list ids: %w", err)
	}
	slices.SortFunc(have, compareKeys)
	for _, k := range l.must {
		switch {
		case found(have, k):
		case v.dead[k]:
			c.Dead++
		default:
			c.MissingAll++
			if len(c.Missing) < v.ShowIDs {
				c.Missing = append(c.Missing, k.id)
			}
		}
	}
	return nil
}

// deadIDs returns the events that lie in the dead letters.
func deadIDs(ctx context.Context, js jetstream.JetStream) (map[key]bool, error) {
	dead := map[key]bool{}
	for from := uint64(1); ; {
		list, err := stream.ListDead(ctx, js, from, 1000)
		if err != nil {
			return nil, err
		}
		for _, d := range list {
			if b, err := event.Decode(d.SchemaVersion, d.Kind, d.Data); err == nil { // what cannot be read is not counted on either side
				eachKey(b, func(id uuid.UUID, at time.Time) { dead[key{id, at.UnixMicro()}] = true })
			}
			from = d.Sequence + 1
		}
		if len(list) < 1000 {
			return dead, nil
		}
	}
}

// merge sums up the parts of each bucket, the oldest hour first.
func (r *Report) merge() {
	slices.SortStableFunc(r.Buckets, func(a, b Comparison) int {
		return cmp.Or(a.Hour.Compare(b.Hour), cmp.Compare(a.App, b.App), cmp.Compare(a.Kind, b.Kind))
	})
	var merged []Comparison
	for _, c := range r.Buckets {
		if n := len(merged); n > 0 && merged[n-1].Bucket == c.Bucket {
			merged[n-1].add(&c)
			continue
		}
		merged = append(merged, c)
	}
	r.Buckets = merged
}

func (c *Comparison) add(d *Comparison) {
	c.Log, c.Database = c.Log.plus(d.Log), c.Database.plus(d.Database)
	c.InFlight += d.InFlight
	c.Older += d.Older
	c.Dead += d.Dead
	c.MissingAll += d.MissingAll
	c.SurplusAll += d.SurplusAll
	c.Missing, c.Surplus = append(c.Missing, d.Missing...), append(c.Surplus, d.Surplus...)
}

func (s Side) plus(t Side) Side {
	return Side{Count: s.Count + t.Count, Checksum: Sum{s.Checksum[0] ^ t.Checksum[0], s.Checksum[1] ^ t.Checksum[1]}}
}
