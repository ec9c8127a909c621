package snapshot

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/postgres"
)

// messageUnavailable is the message of a 503 where the database is away or too slow.
const messageUnavailable = "Data temporarily unavailable"

// retryAfter is the pause that callers are asked for after a 503.
const retryAfter = 5 * time.Second

// patience is how long a read waits for its turn before it is refused.
const patience = 3 * time.Second

// Store opens snapshots.
type Store struct {
	pool    *pgxpool.Pool
	timeout time.Duration
	slots   chan struct{}
}

// New returns a store whose snapshots end after the timeout and of which no more
// than inFlight are open at once. inFlight below 1 is as many as the pool has
// connections. Reads beyond it wait a few seconds for their turn and are then
// refused: a queue without an end would only turn into timeouts.
func New(pool *pgxpool.Pool, timeout time.Duration, inFlight int) *Store {
	if inFlight < 1 {
		inFlight = int(pool.Config().MaxConns)
	}
	return &Store{pool: pool, timeout: timeout, slots: make(chan struct{}, inFlight)}
}

// Read runs f on one moment of the database, for no longer than the timeout. A
// *fault.Error of f is returned as it is; every other failure is a failure of the
// database and becomes a 503.
func (s *Store) Read(ctx context.Context, f func(context.Context, pgx.Tx) error) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err = postgres.Snapshot(bounded, s.pool, func(tx pgx.Tx) error {
		if err := setLimits(bounded, tx, s.timeout); err != nil {
			return err
		}
		return f(bounded, tx)
	})
	return unavailable(ctx, err)
}

// enter waits for a slot and returns the function that frees it.
func (s *Store) enter(ctx context.Context) (leave func(), err error) {
	turn := time.NewTimer(min(patience, s.timeout))
	defer turn.Stop()
	select {
	case s.slots <- struct{}{}:
		return func() { <-s.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-turn.C:
		return nil, fault.New(fault.Unavailable, messageUnavailable+": too many questions at once").After(retryAfter)
	}
}

// setLimits sets parameters of this transaction alone. statement_timeout ends a
// statement whose connection was given up. Plans are made for the values at hand,
// because the range decides which partitions are read. JIT is off: compiling takes
// longer than these statements run.
func setLimits(ctx context.Context, tx pgx.Tx, timeout time.Duration) error {
	_, err := tx.Exec(ctx, `SELECT set_config('statement_timeout', $1, true), set_config('plan_cache_mode', 'force_custom_plan', true),
		set_config('jit', 'off', true), set_config('work_mem', '32MB', true)`,
		strconv.FormatInt(max(1, timeout.Milliseconds()), 10))
	if err != nil {
		return fmt.Errorf("prepare snapshot: %w", err)
	}
	return nil
}

// unavailable turns a failure of the database into a 503.
func unavailable(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil: // the caller left
		return errors.Join(ctx.Err(), err)
	case postgres.Classify(err) == postgres.Content: // a value that our checks should have refused: an internal error
		return err
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return fault.Wrap(err, fault.Unavailable, messageUnavailable).After(retryAfter)
}

// Collect runs a statement and scans each of its rows. what names the work in errors.
func Collect(ctx context.Context, tx pgx.Tx, st *Statement, what string, scan func(pgx.Rows) error) error {
	rows, err := tx.Query(ctx, st.String(), st.args...)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
