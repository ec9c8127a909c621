package rawstore

import (
	"context"
	"time"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/postgres"
)

// anyTime accepts every timestamp: how old an event may be was ingest's to say,
// when it took it.
var anyTime = event.Window{From: time.Time{}, To: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}

// Check refuses event i of a batch when it breaks ingest's rules without having
// come through ingest: a NaN in the tables would spoil every hour it is in.
func Check(b *event.Batch, i int) error {
	if err := b.At(i).Validate(anyTime); err != nil {
		return err
	}
	return nil
}

// PutAll stores rows for a caller that has no dead letters: it makes partitions,
// runs again after a clash, and hands each event the database refuses to refused,
// alone. An error is an outage; what was stored until then stays, and storing the
// rows again changes nothing.
func (s *Store) PutAll(ctx context.Context, r Rows, refused func(Rows, error)) (Outcome, error) {
	if r.Len() == 0 {
		return Outcome{}, nil
	}
	for made := false; ; {
		out, err := s.Put(ctx, r)
		switch postgres.Classify(err) {
		case postgres.NoError:
			return out, nil
		case postgres.Conflict:
			if ctx.Err() == nil {
				continue
			}
		case postgres.MissingPartition:
			if !made {
				if made = true; s.EnsureFor(ctx, r) == nil {
					continue
				}
			}
		case postgres.Content:
			return s.putHalves(ctx, r, refused, err)
		case postgres.Outage: // the caller's to wait out
		}
		return Outcome{}, err
	}
}

func (s *Store) putHalves(ctx context.Context, r Rows, refused func(Rows, error), reason error) (Outcome, error) {
	if r.Len() == 1 {
		refused(r, reason)
		return Outcome{}, nil
	}
	first, second := r.Halves()
	one, err := s.PutAll(ctx, first, refused)
	if err != nil {
		return one, err
	}
	two, err := s.PutAll(ctx, second, refused)
	return one.Plus(two), err
}
