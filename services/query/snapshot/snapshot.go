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

// messageUnavailable is what callers are told when the database is away or too slow.
const messageUnavailable = "Data temporarily unavailable"

// retryAfter spares a database that has just been too slow for somebody.
const retryAfter = 5 * time.Second

// Store opens the snapshots every answer is read from.
type Store struct {
	pool    *pgxpool.Pool
	timeout time.Duration
}

// New returns a store whose snapshots end after the timeout.
func New(pool *pgxpool.Pool, timeout time.Duration) *Store {
	return &Store{pool: pool, timeout: timeout}
}

// Read runs f on one moment of the database, for no longer than the timeout.
// What f returns passes through if it is a *fault.Error; any other failure is
// the database's and becomes the 503 of the contract.
func (s *Store) Read(ctx context.Context, f func(context.Context, pgx.Tx) error) error {
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := postgres.Snapshot(bounded, s.pool, func(tx pgx.Tx) error {
		if err := setLimits(bounded, tx, s.timeout); err != nil {
			return err
		}
		return f(bounded, tx)
	})
	return unavailable(ctx, err)
}

// setLimits sets what holds for this transaction alone. Postgres stops by itself
// too: when a connection is given up the statement would otherwise run on.
// Plans are made for the values at hand, because the range decides which
// partitions are read. Compiling (jit) costs more than these statements take.
func setLimits(ctx context.Context, tx pgx.Tx, timeout time.Duration) error {
	_, err := tx.Exec(ctx, `SELECT set_config('statement_timeout', $1, true), set_config('plan_cache_mode', 'force_custom_plan', true),
		set_config('jit', 'off', true), set_config('work_mem', '32MB', true)`,
		strconv.FormatInt(max(1, timeout.Milliseconds()), 10))
	if err != nil {
		return fmt.Errorf("prepare snapshot: %w", err)
	}
	return nil
}

// unavailable turns a failure of the database into what the caller is told.
func unavailable(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil: // the caller left: nobody's fault
		return errors.Join(ctx.Err(), err)
	case postgres.Classify(err) == postgres.Content: // values that got past our checks: our mistake
		return err
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	return fault.Wrap(err, fault.Unavailable, messageUnavailable).After(retryAfter)
}

// Collect runs a statement and scans its rows one after the other.
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
