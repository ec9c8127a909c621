package services

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/fx"

	"github.com/lakepulse/lakepulse/pkg/postgres"
)

// pools are the connections of a process, in parts that never wait for each other:
// slow questions of administrators must not hold up the writer, what browsers ask
// to reconcile their events, readiness, or metrics of the database.
type pools struct {
	fx.Out

	Work      *pgxpool.Pool // writer, aggregator, settings, apps and their readers
	Questions *pgxpool.Pool `name:"questions"` // the admin API
	Small     *pgxpool.Pool `name:"small"`     // counts
	Probe     probePool     // readiness and metrics, on the small pool
}

// probePool is the pool of readiness and metrics: many slow questions must not make
// the database look away.
type probePool struct{ *pgxpool.Pool }

// fewestApart is the fewest connections that are shared out. With fewer all parts
// use one pool, and the probes have one of leastConns more.
const fewestApart = 6

// leastConns is the fewest connections of a pool.
const leastConns = 2

// shares are the connections of each part of a target. A part that the target does
// not have opens no connection, so its share goes to the others.
func shares(target Target, total int32) (work, questions, small int32) {
	small = leastConns
	if total >= 2*fewestApart {
		small++
	}
	rest := total - small
	switch target {
	case Query:
		return leastConns, rest, small
	case Ingest, Writer, Aggregate:
		return rest, leastConns, small
	case All, Standalone:
	}
	questions = max(leastConns, rest/3)
	return rest - questions, questions, small
}

func openPools(lc fx.Lifecycle, cfg Config, db embeddedDatabaseIn) (pools, error) {
	config := db.database(cfg)
	if config.MaxConns < fewestApart {
		return openTogether(lc, config)
	}
	work, questions, small := shares(cfg.Target, config.MaxConns)
	var p pools
	var err error
	for _, part := range []struct {
		pool  **pgxpool.Pool
		conns int32
	}{{&p.Work, work}, {&p.Questions, questions}, {&p.Small, small}} {
		if *part.pool, err = openPool(lc, config, part.conns); err != nil {
			return pools{}, err
		}
	}
	p.Probe = probePool{p.Small}
	return p, nil
}

// openTogether opens one pool for all parts but the probes.
func openTogether(lc fx.Lifecycle, config postgres.Config) (pools, error) {
	pool, err := openPool(lc, config, config.MaxConns)
	if err != nil {
		return pools{}, err
	}
	probe, err := openPool(lc, config, leastConns)
	return pools{Work: pool, Questions: pool, Small: pool, Probe: probePool{probe}}, err
}

// openPool opens a pool, which connects at its first use, and closes it at the end.
func openPool(lc fx.Lifecycle, config postgres.Config, conns int32) (*pgxpool.Pool, error) {
	config.MaxConns = conns
	pool, err := postgres.Open(context.Background(), config)
	if err != nil {
		return nil, err
	}
	lc.Append(fx.StopHook(pool.Close))
	return pool, nil
}
