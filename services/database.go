package services

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/ops"
	"github.com/lakepulse/lakepulse/pkg/postgres"
)

const (
	databaseEvery = 5 * time.Second
	runsEvery     = 15 * time.Second
)

// shapeDatabase migrates the schema, at once if the database is there and in
// the background until it is.
func shapeDatabase(p process, lc fx.Lifecycle, cfg Config, db embeddedDatabaseIn, pool *pgxpool.Pool, probe probePool, h *ops.Health, log *slog.Logger) {
	var shaped atomic.Bool
	h.Add("database", func(ctx context.Context) error {
		if err := probe.Ping(ctx); err != nil {
			return errors.New("the database does not answer")
		}
		if !shaped.Load() {
			return errors.New("the schema is not up to date yet; the log says why")
		}
		return nil
	})
	work := func(ctx context.Context) error {
		if cfg.Migrate {
			if err := postgres.Migrate(ctx, db.database(cfg)); err != nil {
				return err
			}
		} else if err := postgres.CheckVersion(ctx, pool); err != nil {
			return err
		}
		shaped.Store(true)
		return nil
	}
	// A migration may wait for locks and rewrite a table.
	lc.Append(untilDone(p, log, "database: schema", attempts{first: 10 * time.Second, later: 2 * time.Minute}, work))
}

// watchDatabaseReady exports whether the database answers.
func watchDatabaseReady(lc fx.Lifecycle, probe probePool, reg prometheus.Registerer) {
	ready := prometheus.NewGauge(prometheus.GaugeOpts{Name: "lakepulse_database_ready", Help: "1 while the database answers, 0 while it does not."})
	reg.MustRegister(ready)
	lc.Append(repeat(databaseEvery, func(ctx context.Context) {
		ready.Set(oneIf(probe.Ping(ctx) == nil))
	}))
}

// watchRuns exports what the database says of aggregation runs: a run that
// another process did, as the Databricks job does, is in no counter of this one.
func watchRuns(lc fx.Lifecycle, probe probePool, reg prometheus.Registerer, now func() time.Time) {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "lakepulse_aggregation_" + name, Help: help})
		g.Set(math.NaN())
		reg.MustRegister(g)
		return g
	}
	done := gauge("last_retention_done_timestamp_seconds", "When the last daily run ended without a failure; NaN for never or unknown.")
	failed := gauge("last_run_failed", "1 when the last run that ended failed, wholly or in part; NaN while unknown.")
	waiting := gauge("oldest_waiting_seconds", "How long the oldest closed hour with new rows has waited to be aggregated; NaN while unknown.")
	lc.Append(repeat(runsEvery, func(ctx context.Context) {
		state, err := metricsdb.ReadAggregationState(ctx, probe)
		if err != nil {
			done.Set(math.NaN())
			failed.Set(math.NaN())
			waiting.Set(math.NaN())
			return
		}
		done.Set(math.NaN())
		if !state.RetentionDone.IsZero() {
			done.Set(float64(state.RetentionDone.Unix()))
		}
		failed.Set(oneIf(state.LastFailed))
		waiting.Set(0)
		if !state.OldestWaiting.IsZero() {
			waiting.Set(max(0, now().Sub(state.OldestWaiting).Seconds()))
		}
	}))
}

// repeat is a hook that calls f at once and then now and then, each time with a
// deadline, until the process stops.
func repeat(every time.Duration, f func(context.Context)) fx.Hook {
	ctx, cancel := context.WithCancel(context.Background())
	finished := make(chan struct{})
	call := func() {
		attempt, done := context.WithTimeout(ctx, every)
		defer done()
		f(attempt)
	}
	return fx.Hook{
		OnStart: func(context.Context) error {
			go func() {
				defer close(finished)
				tick := time.NewTicker(every)
				defer tick.Stop()
				for call(); ; call() {
					select {
					case <-ctx.Done():
						return
					case <-tick.C:
					}
				}
			}()
			return nil
		},
		OnStop: func(context.Context) error { cancel(); <-finished; return nil },
	}
}
