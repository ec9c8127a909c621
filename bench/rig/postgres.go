package rig

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/embedded"
	"github.com/lakepulse/lakepulse/pkg/postgres"
)

// Postgres is the server all contenders share: the product's own embedded one,
// with its durable settings.
type Postgres struct {
	server *embedded.Postgres
	pid    int
}

// StartPostgres starts a server on a new cluster in dir.
func StartPostgres(ctx context.Context, dir string, log *slog.Logger) (*Postgres, error) {
	server, err := embedded.StartPostgres(ctx, embedded.PostgresConfig{DataDir: dir}, log)
	if err != nil {
		return nil, err
	}
	p := &Postgres{server: server}
	if p.pid, err = p.postmaster(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// postmaster finds the server's process: the parent of the backend that answers.
func (p *Postgres) postmaster(ctx context.Context) (int, error) {
	conn, err := pgx.Connect(ctx, p.server.DSN())
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is in flight
	var backend int
	if err := conn.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&backend); err != nil {
		return 0, err
	}
	fields, err := statFields(backend)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(fields[1])
}

// Usage is what the server has used since its start.
func (p *Postgres) Usage() (Usage, error) { return Tree(p.pid) }

// PID is the postmaster's process id.
func (p *Postgres) PID() int { return p.pid }

// Version is what the server calls itself.
func (p *Postgres) Version(ctx context.Context) (version string, err error) {
	conn, err := pgx.Connect(ctx, p.server.DSN())
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is in flight
	err = conn.QueryRow(ctx, `SHOW server_version`).Scan(&version)
	return version, err
}

// Close ends the server.
func (p *Postgres) Close(ctx context.Context) error { return p.server.Close(ctx) }

// Database makes an empty database and returns its address.
func (p *Postgres) Database(ctx context.Context, name string) (string, error) {
	conn, err := pgx.Connect(ctx, p.server.DSN())
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is in flight
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", fmt.Errorf("create database %s: %w", name, err)
	}
	u, err := url.Parse(p.server.DSN())
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

// Drop removes a database and whoever is connected to it.
func (p *Postgres) Drop(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, p.server.DSN())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is in flight
	if _, err := conn.Exec(ctx, "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	return nil
}

// Busy reports whether any backend but ours works at the moment, autovacuum's among them.
func (p *Postgres) Busy(ctx context.Context) (busy bool, err error) {
	conn, err := pgx.Connect(ctx, p.server.DSN())
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is in flight
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_activity
		WHERE pid <> pg_backend_pid() AND state = 'active' AND backend_type IN ('client backend', 'parallel worker', 'autovacuum worker'))`).Scan(&busy)
	return busy, err
}

// Migrated makes a database with the product's schema, and returns its address
// and a pool on it.
func (p *Postgres) Migrated(ctx context.Context, name string) (string, *pgxpool.Pool, error) {
	dsn, err := p.Database(ctx, name)
	if err != nil {
		return "", nil, err
	}
	if err := postgres.MigrateUp(ctx, dsn); err != nil {
		return "", nil, err
	}
	pool, err := Pool(ctx, dsn)
	return dsn, pool, err
}

// Pool returns a pool as the product opens it.
func Pool(ctx context.Context, dsn string) (*pgxpool.Pool, error) {
	cfg := postgres.DefaultConfig()
	cfg.URL, cfg.ApplicationName = dsn, "lakepulse bench"
	return postgres.Open(ctx, cfg)
}
