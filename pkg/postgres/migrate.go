package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/golang-migrate/migrate/v4"
	migratepgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/lakepulse/lakepulse/migrations"
	"github.com/lakepulse/lakepulse/migrations/carry"
)

// MigrateUp brings the schema of the database at url to the newest version.
func MigrateUp(ctx context.Context, url string) error {
	cfg := DefaultConfig()
	cfg.URL = url
	return Migrate(ctx, cfg)
}

// Migrate brings the schema to the newest version. Several processes may call
// it at once: golang-migrate lets one work while the others wait.
func Migrate(ctx context.Context, cfg Config) error {
	return withMigrations(ctx, cfg, func(m *migrate.Migrate) error {
		if err := carryOver(ctx, cfg, m); err != nil {
			return fmt.Errorf("migrate up: %w", err)
		}
		if err := m.Up(); err != nil && !errors.Is(err, migrate.ErrNoChange) {
			return fmt.Errorf("migrate up: %w", err)
		}
		return findable(ctx, cfg)
	})
}

// carryOver brings the schema past the migration that drops the older tables of
// aggregates, whose rows it copies before. That migration checks once more and is
// one transaction: where it fails it has changed nothing, so its version is taken
// back and the error says what is missing.
func carryOver(ctx context.Context, cfg Config, m *migrate.Migrate) (err error) {
	conn, err := connect(ctx, cfg, nil)
	if err != nil {
		return err
	}
	// The lock ends with the connection. Without it two processes could both find an
	// older version, and the slower one would go back to where it wanted to stop.
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(hashtext('lakepulse.carry'))`); err != nil {
		return fmt.Errorf("wait for another process that migrates: %w", err)
	}
	version, dirty, err := m.Version()
	if err != nil && !errors.Is(err, migrate.ErrNilVersion) {
		return err
	}
	if version >= carry.To || dirty {
		return nil
	}
	if version < carry.From {
		if err := m.Migrate(carry.From); err != nil && !errors.Is(err, migrate.ErrNoChange) {
			return err
		}
	}
	return carry.All(ctx, conn, func() error {
		if err := m.Migrate(carry.To); err != nil && !errors.Is(err, migrate.ErrNoChange) {
			return errors.Join(err, m.Force(carry.From))
		}
		return nil
	})
}

// connect opens one connection; change, when not nil, changes its parameters.
func connect(ctx context.Context, cfg Config, change func(params map[string]string)) (*pgx.Conn, error) {
	pc, err := poolConfig(cfg)
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(pc.ConnConfig.RuntimeParams)
	}
	if pc.BeforeConnect != nil {
		if err := pc.BeforeConnect(ctx, pc.ConnConfig); err != nil {
			return nil, fmt.Errorf("database credentials: %w", err)
		}
	}
	conn, err := pgx.ConnectConfig(ctx, pc.ConnConfig)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

// oneAtATime goes before a statement, and is one transaction with it, that two at
// once would both find to be needed: one of them would fail on the other's row.
const oneAtATime = `SELECT pg_advisory_xact_lock(hashtext('lakepulse.schema')); `

// findable puts our schema at the end of the search path that this role has in
// this database by default, so that a person with psql finds the tables by
// their names. What came first stays first. Lakepulse itself does not need it,
// so a role that may not do it is left alone.
func findable(ctx context.Context, cfg Config) error {
	conn, err := connect(ctx, cfg, func(params map[string]string) { delete(params, "search_path") })
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, oneAtATime+`
DO $$ BEGIN
  IF NOT 'metrics' = ANY (string_to_array(replace(current_setting('search_path'), ' ', ''), ',')) THEN
    EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET search_path = %s, metrics', current_database(), current_setting('search_path'));
  END IF;
EXCEPTION WHEN insufficient_privilege THEN NULL;
END $$`)
	return errors.Join(err, conn.Close(ctx))
}

// MigrateDown takes back the given number of migrations; with 0 all of them,
// and with them all data.
func MigrateDown(ctx context.Context, cfg Config, steps int) error {
	return withMigrations(ctx, cfg, func(m *migrate.Migrate) error {
		var err error
		if steps > 0 {
			err = m.Steps(-steps)
		} else {
			err = m.Down()
		}
		if err != nil && !errors.Is(err, migrate.ErrNoChange) {
			return fmt.Errorf("migrate down: %w", err)
		}
		return nil
	})
}

// MigrationVersion returns the schema's version, 0 before the first migration,
// and whether a migration broke half-way and needs a person.
func MigrationVersion(ctx context.Context, cfg Config) (version uint, dirty bool, err error) {
	err = withMigrations(ctx, cfg, func(m *migrate.Migrate) error {
		var e error
		version, dirty, e = m.Version()
		if errors.Is(e, migrate.ErrNilVersion) {
			return nil
		}
		return e
	})
	return version, dirty, err
}

func withMigrations(ctx context.Context, cfg Config, f func(*migrate.Migrate) error) (err error) {
	pc, err := poolConfig(cfg)
	if err != nil {
		return err
	}
	var opts []stdlib.OptionOpenDB
	if pc.BeforeConnect != nil {
		opts = append(opts, stdlib.OptionBeforeConnect(func(ctx context.Context, cc *pgx.ConnConfig) error {
			return pc.BeforeConnect(ctx, cc)
		}))
	}
	db := stdlib.OpenDB(*pc.ConnConfig, opts...)
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, oneAtATime+"CREATE SCHEMA IF NOT EXISTS "+Schema); err != nil {
		return fmt.Errorf("make schema %s: %w", Schema, err)
	}
	source, err := iofs.New(migrations.Files, ".")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	driver, err := migratepgx.WithInstance(db, &migratepgx.Config{SchemaName: Schema})
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	m, err := migrate.NewWithInstance("iofs", source, "pgx5", driver)
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { m.GracefulStop <- true })
	defer stop()
	defer func() {
		srcErr, dbErr := m.Close()
		err = errors.Join(err, srcErr, dbErr)
	}()
	return f(m)
}

// CheckVersion returns an error unless the schema has the version this program
// was built for, or a newer one, and is whole. It needs no right but to read.
func CheckVersion(ctx context.Context, pool *pgxpool.Pool) error {
	var have uint
	var dirty bool
	if err := pool.QueryRow(ctx, `SELECT version, dirty FROM schema_migrations`).Scan(&have, &dirty); err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	want, err := newestVersion()
	if err != nil {
		return err
	}
	switch {
	case dirty:
		return fmt.Errorf("the migration to version %d broke half-way", have)
	case have < want:
		return fmt.Errorf("the schema has version %d, this program needs %d: run `lakepulse migrate up`", have, want)
	}
	return nil
}

func newestVersion() (uint, error) {
	source, err := iofs.New(migrations.Files, ".")
	if err != nil {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	version, err := source.First()
	for err == nil {
		var next uint
		if next, err = source.Next(version); err == nil {
			version = next
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	return version, nil
}
