package cli

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"
)

// logAndDatabase are the flags of tools that use both.
type logAndDatabase struct {
	natsFlags `embed:""`

	DatabaseURL string `name:"database" help:"Postgres connection string; without it the PG* variables are used." env:"DATABASE_URL" placeholder:"URL"`
}

// open opens both and runs do on them.
func (f *logAndDatabase) open(e *env, do func(jetstream.JetStream, *pgxpool.Pool) error) error {
	nc, js, err := f.connect(e)
	if err != nil {
		return err
	}
	defer nc.Close()
	database := databaseFlags{dataFlag: f.dataFlag, DatabaseURL: f.DatabaseURL, MaxConns: toolConns}
	pool, err := database.open(e)
	if err != nil {
		return err
	}
	defer pool.Close()
	return do(js, pool)
}
