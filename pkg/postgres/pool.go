package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/retry"
)

// Schema is the schema all of Lakepulse's tables live in.
const Schema = "metrics"

// Config says which database and how many connections.
type Config struct {
	// URL is a libpq connection string. Empty means the PG* variables.
	URL string
	// MaxConns bounds the pool: Lakebase allows few connections per compute unit.
	MaxConns int32
	// ApplicationName is shown in pg_stat_activity.
	ApplicationName string
	// Tune, when set, changes the pool's configuration before it is opened:
	// Lakebase's rotating credentials come in here.
	Tune func(*pgxpool.Config) error
}

// DefaultConfig returns eighteen connections to the PG* variables' database.
func DefaultConfig() Config {
	return Config{MaxConns: 18, ApplicationName: "lakepulse"}
}

// Validate returns every rule the configuration breaks.
func (c Config) Validate() error {
	var errs []error
	if _, err := pgxpool.ParseConfig(c.URL); err != nil {
		// The parser's error can quote the string, and so the password.
		errs = append(errs, errors.New("DATABASE_URL: not a Postgres connection string"))
	}
	if c.MaxConns < 2 {
		errs = append(errs, errors.New("database connections: at least 2 are needed"))
	}
	return errors.Join(errs...)
}

// Open returns a pool. It does not connect: the first use does.
func Open(ctx context.Context, cfg Config) (*pgxpool.Pool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	pc, err := poolConfig(cfg)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("open pool: %w", err)
	}
	return pool, nil
}

func poolConfig(cfg Config) (*pgxpool.Config, error) {
	pc, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, errors.New("DATABASE_URL: not a Postgres connection string")
	}
	pc.MaxConns = cfg.MaxConns
	pc.MaxConnIdleTime = 5 * time.Minute
	pc.PingTimeout = 5 * time.Second
	pc.HealthCheckPeriod = 15 * time.Second
	if pc.ConnConfig.ConnectTimeout == 0 {
		pc.ConnConfig.ConnectTimeout = 30 * time.Second
	}
	params := pc.ConnConfig.RuntimeParams
	params["search_path"] = Schema
	params["timezone"] = "UTC"
	// Without it a session takes the database's encoding, and a database that is not
	// UTF8 would store our bytes as other letters instead of refusing them.
	params["client_encoding"] = "UTF8"
	// Compiling a plan takes longer than any statement of ours runs; one wrong
	// estimate of rows is enough to make Postgres do it.
	params["jit"] = "off"
	if params["application_name"] == "" {
		params["application_name"] = cfg.ApplicationName
	}
	if cfg.Tune != nil {
		if err := cfg.Tune(pc); err != nil {
			return nil, err
		}
	}
	closeFaultySessions(pc)
	return pc, nil
}

// closeFaultySessions closes a connection whose session state caused an error, so that
// the next attempt gets a fresh one. Otherwise the pool would hand the same session out
// again, for as long as an hour after the cause is gone.
func closeFaultySessions(pc *pgxpool.Config) {
	next := pc.ConnConfig.OnPgError // never nil in a parsed configuration
	pc.ConnConfig.OnPgError = func(conn *pgconn.PgConn, err *pgconn.PgError) bool {
		keep := next(conn, err)
		return keep && !SessionAtFault(err)
	}
}

// Snapshot runs f in a read-only REPEATABLE READ transaction: everything it
// reads is of one moment, however long it takes.
func Snapshot(ctx context.Context, pool *pgxpool.Pool, f func(pgx.Tx) error) error {
	opts := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return pgx.BeginTxFunc(ctx, pool, opts, f)
}

// ConflictBackoff is the schedule for transactions that ended in a Conflict.
var ConflictBackoff = retry.Backoff{First: 5 * time.Millisecond, Max: time.Second}

// Serializable runs f in a SERIALIZABLE transaction. After a Conflict it runs f again,
// at most ten times in all, so f must have no effect outside the transaction.
func Serializable(ctx context.Context, pool *pgxpool.Pool, f func(pgx.Tx) error) error {
	const attempts = 10
	var err error
	for attempt := range attempts {
		err = pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.Serializable}, f)
		if Classify(err) != Conflict {
			return err
		}
		if err := ConflictBackoff.Wait(ctx, attempt); err != nil {
			return err
		}
	}
	return fmt.Errorf("gave up after %d attempts: %w", attempts, err)
}
