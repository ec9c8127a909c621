package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	postgresUser     = "lakepulse"
	postgresDatabase = "lakepulse"
	// startPatience bounds a start whose context has no deadline. Recovery after a crash
	// reads up to max_wal_size of log.
	startPatience = 5 * time.Minute
	// stopPatience bounds a stop whose context has no deadline.
	stopPatience = 30 * time.Second
)

// errKilled is a server that somebody ended while it started: not its own fault,
// and worth another try.
var errKilled = errors.New("PostgreSQL was killed")

// killedTries bounds those tries: what kills every start will kill the next.
const killedTries = 5

// ErrClosed is what using a closed server yields.
var ErrClosed = errors.New("embedded PostgreSQL is closed")

// PostgresConfig says where and how an embedded PostgreSQL runs. The zero value of
// every field but DataDir is the durable choice.
type PostgresConfig struct {
	// DataDir gets postgres/ (the cluster), postgres.password and postgres.url.
	DataDir string
	// Port is the loopback port; 0 takes a free one.
	Port int
	// Fast gives up all durability: for tests only.
	Fast bool
	// CacheDir keeps fetched programs; "" is the user's cache directory.
	CacheDir string
	// Repository is the base address of a mirror to fetch from; "" is the library's own.
	Repository string
	// Settings are server parameters that go over the built-in ones.
	Settings map[string]string

	installPatterns []string // where to look besides the PATH
	homes           []string // where a cluster may live if not in DataDir
}

// Postgres is a PostgreSQL server that lives as long as this process at most. Its
// methods are safe for concurrent use.
type Postgres struct {
	cfg      PostgresConfig
	who      account
	install  installation
	dir      string // the cluster itself, behind any link
	password string
	port     int
	urlFile  string
	logger   *slog.Logger
	unlock   func()

	mu     sync.Mutex
	run    *run // nil while stopped
	closed bool
}

// StartPostgres starts a server on the cluster of cfg.DataDir, making the cluster and
// its database on first use, and returns when the database accepts connections. ctx
// bounds the start only (5 minutes if it has no deadline). The caller owns the data
// directory (LockDataDir) and calls Close.
func StartPostgres(ctx context.Context, cfg PostgresConfig, logger *slog.Logger) (*Postgres, error) {
	ctx, cancel := withPatience(ctx, startPatience)
	defer cancel()
	p, err := newPostgres(ctx, cfg, logger)
	if err != nil {
		return nil, err
	}
	if err := p.startFirst(ctx); err != nil {
		p.unlock()
		return nil, err
	}
	return p, nil
}

// newPostgres settles what a server needs before its first process: the data
// directory, the account, the programs.
func newPostgres(ctx context.Context, cfg PostgresConfig, logger *slog.Logger) (_ *Postgres, err error) {
	if cfg.DataDir == "" {
		return nil, errors.New("embedded PostgreSQL needs a data directory")
	}
	dataDir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("resolve data directory: %w", err)
	}
	if err := makeDataDir(dataDir); err != nil {
		return nil, err
	}
	unlock, err := lockFile(filepath.Join(dataDir, "postgres.lock"))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			unlock()
		}
	}()
	if cfg.installPatterns == nil {
		cfg.installPatterns = defaultInstallPatterns
	}
	if cfg.homes == nil {
		cfg.homes = defaultHomes
	}
	p := &Postgres{
		cfg:     cfg,
		port:    cfg.Port,
		urlFile: filepath.Join(dataDir, "postgres.url"),
		logger:  logger.With("component", "postgres"),
		unlock:  unlock,
	}
	if p.who, err = chooseAccount(filepath.Join(dataDir, "postgres")); err != nil {
		return nil, err
	}
	if p.dir, err = cfg.clusterHome(ctx, p.who, dataDir, p.logger); err != nil {
		return nil, err
	}
	if p.install, err = cfg.findInstallation(ctx, p.who, p.dir); err != nil {
		return nil, err
	}
	p.password, err = keptPassword(filepath.Join(dataDir, "postgres.password"))
	return p, err
}

// startFirst takes the cluster from whatever state it is in to a running server with
// our database.
func (p *Postgres) startFirst(ctx context.Context) error {
	if err := initCluster(ctx, p.who, p.install, p.dir, p.password, p.cfg.Fast); err != nil {
		return err
	}
	if err := clearStale(ctx, p.dir, p.logger); err != nil {
		return err
	}
	for try := 1; ; try++ {
		err := p.startReady(ctx)
		if err == nil {
			break
		}
		if try == killedTries || !errors.Is(err, errKilled) || ctx.Err() != nil {
			return err
		}
		p.logger.Warn("PostgreSQL was killed while it started, starting it again", "error", err)
	}
	p.logger.Info("PostgreSQL started", "version", fmt.Sprintf("%d.%d", p.install.major, p.install.minor), "port", p.port, "dir", p.dir)
	return nil
}

// startReady starts the server and makes our database, or leaves nothing running.
func (p *Postgres) startReady(ctx context.Context) error {
	if err := p.start(ctx); err != nil {
		return err
	}
	err := ensureDatabase(ctx, p.dsn("postgres"))
	if err == nil {
		err = writePrivate(p.urlFile, p.DSN()+"\n")
	}
	if err == nil {
		return nil
	}
	if p.run.process.exited() {
		err = fmt.Errorf("%w: %w", errKilled, err)
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	return errors.Join(err, p.stop(stopCtx))
}

// ensureDatabase makes the database, and lets psql find the tables of schema metrics
// without naming it. Both steps are repeatable: a start may be cut off between them.
func ensureDatabase(ctx context.Context, adminDSN string) error {
	conn, err := pgx.Connect(ctx, adminDSN)
	if err != nil {
		return fmt.Errorf("connect to the new server: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is in flight
	var exists, configured bool
	err = conn.QueryRow(ctx, `
		SELECT count(*) > 0, count(s.setdatabase) > 0
		FROM pg_database d LEFT JOIN pg_db_role_setting s ON s.setdatabase = d.oid
		WHERE d.datname = $1`, postgresDatabase).Scan(&exists, &configured)
	if err != nil {
		return fmt.Errorf("look for database %s: %w", postgresDatabase, err)
	}
	if !exists {
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+postgresDatabase); err != nil {
			return fmt.Errorf("create database %s: %w", postgresDatabase, err)
		}
	}
	if !configured {
		statement := "ALTER DATABASE " + postgresDatabase + ` SET search_path = "$user", public, metrics`
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("configure database %s: %w", postgresDatabase, err)
		}
	}
	return nil
}

// DSN is the address of the database with its credentials. It stays the same through
// Kill and Restart.
func (p *Postgres) DSN() string { return p.dsn(postgresDatabase) }

func (p *Postgres) dsn(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(postgresUser, p.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Done is closed when the server that runs at the moment of the call is gone, stopped
// or crashed; it is closed already when none runs.
func (p *Postgres) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		none := make(chan struct{})
		close(none)
		return none
	}
	return p.run.process.done
}

// Restart stops the server if it runs and starts it again, on the same port.
func (p *Postgres) Restart(ctx context.Context) error {
	ctx, cancel := withPatience(ctx, startPatience)
	defer cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if err := p.stop(ctx); err != nil {
		return err
	}
	return p.start(ctx)
}

// Stop shuts the server down as Close does but keeps its place: Restart brings it back.
func (p *Postgres) Stop(ctx context.Context) error {
	ctx, cancel := withPatience(ctx, stopPatience)
	defer cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stop(ctx)
}

// Kill ends every process of the server with SIGKILL, as a crash of the machine would
// for the database; Restart brings it back, through recovery.
func (p *Postgres) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		return nil
	}
	err := p.run.kill()
	p.run = nil
	return err
}

// Close shuts the server down for good: clients are disconnected, everything is
// written, all processes are gone. At ctx's end (30 s if it has none) it is stopped
// without the final checkpoint, which costs a recovery at the next start and no data.
// More calls do nothing.
func (p *Postgres) Close(ctx context.Context) error {
	ctx, cancel := withPatience(ctx, stopPatience)
	defer cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	err := errors.Join(p.stop(ctx), removeIfPresent(p.urlFile))
	p.unlock()
	return err
}

// withPatience gives ctx a deadline if it has none.
func withPatience(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, patience)
}
