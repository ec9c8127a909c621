package rawstore

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/postgres"
)

// Rows are events on their way into the tables.
type Rows = event.Lists

// Outcome counts what became of rows.
type Outcome struct {
	Stored     int // new rows
	Duplicate  int // were there already
	Summarised int // below the purge line: they stand in the aggregates
}

// Plus returns the sum of two outcomes.
func (o Outcome) Plus(p Outcome) Outcome {
	return Outcome{o.Stored + p.Stored, o.Duplicate + p.Duplicate, o.Summarised + p.Summarised}
}

// Store keeps rows in the raw tables.
type Store struct {
	pool *pgxpool.Pool
	// afterInsert is called before the commit; tests stop the world there.
	afterInsert func()
	// repeats is set while rows come that are there already.
	repeats atomic.Bool
}

// New returns a store on pool. afterInsert, when not nil, is called in each
// transaction between the last insert and the marks: tests stop the world there.
func New(pool *pgxpool.Pool, afterInsert func()) *Store {
	return &Store{pool: pool, afterInsert: afterInsert}
}

// Put stores the rows in one transaction, as the package's invariants say. It
// copies them in, which costs Postgres half of what an insert does but ends with
// the first row that is there already; then all of them are inserted, row for
// row, and so is what follows until a batch without repetition comes by.
func (s *Store) Put(ctx context.Context, r Rows) (Outcome, error) {
	if !s.repeats.Load() {
		out, err := s.put(ctx, r, (*transaction).copyNew)
		if !postgres.IsDuplicate(err) {
			return out, err
		}
		s.repeats.Store(true)
	}
	out, err := s.put(ctx, r, (*transaction).insertMissing)
	if err == nil && out.Duplicate == 0 {
		s.repeats.Store(false)
	}
	return out, err
}

// EnsureDays makes the daily partitions from one day to another.
func (s *Store) EnsureDays(ctx context.Context, from, to time.Time) error {
	return metricsdb.EnsurePartitions(ctx, s.pool, from, to)
}

// EnsureFor makes the partitions the rows need.
func (s *Store) EnsureFor(ctx context.Context, r Rows) error {
	days := map[time.Time]bool{}
	for _, b := range r.Batches() {
		for i := range b.Len() {
			days[b.At(i).Head().Timestamp.UTC().Truncate(24*time.Hour)] = true
		}
	}
	for day := range days {
		if err := s.EnsureDays(ctx, day, day); err != nil {
			return err
		}
	}
	return nil
}
