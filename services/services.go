package services

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"github.com/lakepulse/lakepulse/services/admin"
	"github.com/lakepulse/lakepulse/services/aggregate"
	"github.com/lakepulse/lakepulse/services/ingest"
	"github.com/lakepulse/lakepulse/services/query"
	"github.com/lakepulse/lakepulse/services/writer"
)

// Target is what one process is to be.
type Target string

// The targets. All has the log inside unless NATS_URL names one outside;
// Standalone has the database inside as well.
const (
	Standalone Target = "standalone"
	All        Target = "all"
	Ingest     Target = "ingest"
	Writer     Target = "writer"
	Query      Target = "query"
	Aggregate  Target = "aggregate"
)

// targets maps each target to the modules it is made of: the architecture, on one
// screen. Modules further down may use those further up, start after them and stop
// before them: web is last, so that its requests are answered before the rest stops.
var targets = map[Target][]fx.Option{
	Ingest:     {operations, eventLog, settingsFromLog, identity, ingest.Module, ownMetrics, web},
	Writer:     {operations, eventLog, database, settingsFromDatabase, writer.Module, web},
	Query:      {operations, keyLog, database, settingsFromDatabase, runs, identity, query.Module, admin.Module, dashboard, ownMetrics, web},
	Aggregate:  {operations, keyLog, database, settingsFromDatabase, runs, identity, aggregate.Module, web},
	All:        {logInside, operations, eventLog, database, settingsFromDatabase, runs, identity, writer.Module, ingest.Module, query.Module, admin.Module, aggregate.Module, dashboard, ownMetrics, web},
	Standalone: {logInside, databaseInside, operations, eventLog, database, settingsFromDatabase, runs, identity, writer.Module, ingest.Module, query.Module, admin.Module, aggregate.Module, dashboard, ownMetrics, web},
}

// Targets lists the targets by name.
func Targets() []Target { return slices.Sorted(maps.Keys(targets)) }

// startTimeout is long because a first start may fetch and initialise Postgres;
// stopTimeout is what Databricks Apps give between SIGTERM and SIGKILL, less a second.
const (
	startTimeout = 5 * time.Minute
	stopTimeout  = 14 * time.Second
)

// Options returns the fx options of a target.
func Options(target Target, cfg Config, log *slog.Logger) ([]fx.Option, error) {
	modules, ok := targets[target]
	if !ok {
		return nil, fmt.Errorf("no target %q: there are %v", target, Targets())
	}
	cfg.Target = target
	cfg = cfg.withConfirm()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return append([]fx.Option{
		fx.Supply(cfg, log, process{context.Background()}), cfg.parts(), fx.StartTimeout(startTimeout), fx.StopTimeout(stopTimeout),
		fx.WithLogger(func() fxevent.Logger { return quietly(log) }),
	}, modules...), nil
}

// process is the context of the whole process. Parts end waits at the start with it.
type process struct{ context.Context }

// start starts the app. It does not hand ctx to fx: after a cancelled start fx runs no
// stop hook, and an embedded Postgres would be left behind. The parts watch process
// instead, so that the start ends early and the usual stop follows.
func start(ctx context.Context, app *fx.App) error {
	if err := app.Err(); err != nil {
		return err
	}
	startCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer cancel()
	return app.Start(startCtx)
}

// Run runs a target until ctx ends or one of its parts fails for good.
func Run(ctx context.Context, target Target, cfg Config, log *slog.Logger) error {
	options, err := Options(target, cfg, log)
	if err != nil {
		return err
	}
	app := fx.New(append(options, fx.Replace(process{ctx}))...)
	if err := start(ctx, app); err != nil {
		if ctx.Err() != nil {
			log.Info("stopped before the start was complete", "target", target)
			return nil
		}
		return fmt.Errorf("start %s: %w", target, rootCause(err))
	}
	code := 0
	select {
	case <-ctx.Done():
		log.Info("stopping", "target", target)
	case signal := <-app.Wait():
		code = signal.ExitCode
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := app.Stop(stopCtx); err != nil {
		return fmt.Errorf("stop %s: %w", target, err)
	}
	if code != 0 {
		return fmt.Errorf("%s ended: a part of it failed, see the log", target)
	}
	log.Info("stopped", "target", target)
	return nil
}
