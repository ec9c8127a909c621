package services

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"go.uber.org/fx"

	"github.com/lakepulse/lakepulse/pkg/embedded"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/retry"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// The log and the database inside the process, each unless the configuration
// names one outside. They start before everything that uses them and stop after it.
var (
	logInside      = fx.Module("log inside", fx.Provide(lockData, startLog))
	databaseInside = fx.Module("database inside", fx.Provide(startDatabase))
)

// dataLock is held as long as this process uses its data directory.
type dataLock struct{}

func lockData(lc fx.Lifecycle, cfg Config) (dataLock, error) {
	if cfg.Target == All && cfg.NATS.URL != "" {
		return dataLock{}, nil // nothing is kept there
	}
	release, err := embedded.LockDataDir(cfg.DataDir)
	if err != nil {
		return dataLock{}, err
	}
	lc.Append(fx.StopHook(release))
	return dataLock{}, nil
}

// embeddedLog is the NATS server inside the process; nil inside for none.
type embeddedLog struct{ server *embedded.NATS }

func startLog(lc fx.Lifecycle, cfg Config, log *slog.Logger, _ dataLock) (embeddedLog, error) {
	if cfg.NATS.URL != "" {
		return embeddedLog{}, nil
	}
	// A log that only passes events on to the database needs no fsync: 202 waits
	// for the database.
	server, err := embedded.StartNATS(embedded.NATSConfig{DataDir: cfg.DataDir, RelaxedSync: cfg.Confirm == ConfirmStored}, log)
	if err != nil {
		return embeddedLog{}, err
	}
	lc.Append(fx.StopHook(server.Close))
	return embeddedLog{server}, nil
}

// open links to the embedded server, or to the one outside.
func (e embeddedLog) open(cfg Config, log *slog.Logger) (*stream.Link, error) {
	if e.server == nil {
		outside := cfg.NATS
		outside.Name = cmp.Or(outside.Name, "lakepulse "+string(cfg.Target))
		return stream.Open(outside, log)
	}
	link := stream.NewLink("the embedded NATS", log)
	nc, err := e.server.Connect(link.Options("lakepulse " + string(cfg.Target))...)
	if err != nil {
		return nil, err
	}
	link.Attach(nc)
	return link, nil
}

// embeddedDatabase is the Postgres beside the process; nil inside for none.
type embeddedDatabase struct{ server *embedded.Postgres }

func startDatabase(p process, lc fx.Lifecycle, cfg Config, log *slog.Logger, _ dataLock) (embeddedDatabase, error) {
	if cfg.Database.URL != "" || os.Getenv("PGHOST") != "" {
		return embeddedDatabase{}, nil
	}
	ctx, cancel := context.WithTimeout(p, startTimeout)
	defer cancel()
	server, err := embedded.StartPostgres(ctx, embedded.PostgresConfig{DataDir: cfg.DataDir}, log)
	if err != nil {
		return embeddedDatabase{}, err
	}
	watch := watchDatabase(server, log)
	lc.Append(fx.StopHook(func(ctx context.Context) error {
		watch()
		return server.Close(ctx)
	}))
	return embeddedDatabase{server}, nil
}

// restartDelay is the time between attempts to start the embedded Postgres again.
const restartDelay = 2 * time.Second

// watchDatabase starts the database again when it ends by itself, as any
// supervisor would: meanwhile the events wait in the log. The returned function
// ends the watch.
func watchDatabase(server *embedded.Postgres, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-server.Done():
			}
			if ctx.Err() != nil {
				return
			}
			log.Error("the embedded Postgres ended by itself, starting it again")
			if err := server.Restart(ctx); err != nil && ctx.Err() == nil {
				log.Error("the embedded Postgres does not start, trying again", "error", err)
				_ = retry.Sleep(ctx, restartDelay) // an ended context ends the loop above
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

// embeddedDatabaseIn lets a constructor take the embedded database where there is one.
type embeddedDatabaseIn struct {
	fx.In

	Embedded embeddedDatabase `optional:"true"`
}

// database returns the configuration of the embedded database, or of the one outside.
func (in embeddedDatabaseIn) database(cfg Config) postgres.Config {
	if in.Embedded.server != nil {
		cfg.Database.URL = in.Embedded.server.DSN()
	}
	return cfg.Database
}
