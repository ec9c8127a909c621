package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/lakebase"
	"github.com/lakepulse/lakepulse/pkg/postgres"
)

// databaseFlags say how a tool reaches the database.
type databaseFlags struct {
	dataFlag `embed:""`

	DatabaseURL string `name:"database" help:"Postgres connection string; without it the PG* variables are used." env:"DATABASE_URL" placeholder:"URL"`
	MaxConns    int32  `name:"database-conns" help:"Largest number of database connections." default:"10" env:"LAKEPULSE_DATABASE_CONNS"`
}

// toolConns is the largest number of connections of tools without --database-conns.
const toolConns = 4

// errNoDatabase says that no database is named and none runs on the data directory.
var errNoDatabase = errors.New("no database")

// config returns the named database, else that of a running standalone.
func (f *databaseFlags) config(e *env) (postgres.Config, error) {
	url := f.DatabaseURL
	if url == "" && e.getenv("PGHOST") == "" {
		found, err := os.ReadFile(filepath.Join(f.DataDir, "postgres.url"))
		if err != nil {
			return postgres.Config{}, usageError(fmt.Errorf("%w: set DATABASE_URL, or start a standalone on %s", errNoDatabase, f.DataDir))
		}
		url = strings.TrimSpace(string(found))
	}
	cfg, err := databaseConfig(e, url, f.MaxConns)
	if err == nil {
		err = cfg.Validate()
	}
	return cfg, usageError(err)
}

// open opens a pool on the database of config.
func (f *databaseFlags) open(e *env) (*pgxpool.Pool, error) {
	cfg, err := f.config(e)
	if err != nil {
		return nil, err
	}
	return postgres.Open(e.ctx, cfg)
}

// databaseConfig returns the configuration of a pool. Where the environment names a
// Lakebase instance, the pool logs in with its rotating credentials.
func databaseConfig(e *env, url string, conns int32) (postgres.Config, error) {
	cfg := postgres.DefaultConfig()
	cfg.URL, cfg.MaxConns = url, conns
	lake, inUse := lakebase.FromEnv(e.getenv)
	if !inUse {
		return cfg, nil
	}
	source, err := lakebase.New(lakebase.Params{Config: lake, Logger: e.logger, Clock: time.Now})
	if err != nil {
		return cfg, err
	}
	cfg.Tune = source.Tune
	return cfg, nil
}
