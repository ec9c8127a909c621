package services

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/fx"

	lakepulse "github.com/lakepulse/lakepulse/clients/go"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/ops"
	"github.com/lakepulse/lakepulse/pkg/retry"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/services/ingest"
	dist "github.com/lakepulse/lakepulse/web"
)

// The modules that are no service: what services stand on.
var (
	// operations: metrics, health and the operators' listener.
	operations = fx.Module("operations",
		fx.Provide(newRegistry, newHealth,
			func(r *prometheus.Registry) prometheus.Registerer { return r }),
		fx.Invoke(serveOperations))

	// eventLog: the connection to NATS, and the streams in their shape.
	eventLog = fx.Module("event log",
		fx.Provide(connectLog, newPublisher, newLogProbe),
		fx.Invoke(shapeLog, watchLog))

	// keyLog: the connection alone, for those who only look up API keys there.
	keyLog = fx.Module("key log", fx.Provide(connectLog))

	// database: the pools, and the schema in its version.
	database = fx.Module("database", fx.Provide(openPools), fx.Invoke(shapeDatabase, watchDatabaseReady))

	// runs: what the database says of the aggregation, whoever does it.
	runs = fx.Module("aggregation runs", fx.Invoke(watchRuns))

	// identity: who is calling.
	identity = fx.Module("identity", fx.Provide(newKeys, newAuthenticator))

	// web: one HTTP server with the routes of every service of the target.
	web = fx.Module("web", fx.Invoke(serveWeb))

	// dashboard: the built pages, where no route matches.
	dashboard = fx.Module("dashboard", fx.Provide(fx.Annotate(func() http.Handler { return dist.Handler(dist.Dist()) }, fx.ResultTags(`name:"fallback"`))))

	// ownMetrics: the product measures itself as any app would.
	ownMetrics = fx.Module("own metrics", fx.Provide(fx.Annotate(newOwnClient, fx.ResultTags(`name:"own"`))))
)

func newRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

func newHealth(cfg Config) *ops.Health { return ops.NewHealth(cfg.Version) }

func serveOperations(lc fx.Lifecycle, cfg Config, h *ops.Health, reg *prometheus.Registry, log *slog.Logger, down fx.Shutdowner) error {
	if cfg.OpsListen == "" {
		return nil
	}
	server, err := listen(cfg, cfg.OpsListen, DefaultConfig().OpsListen, httpapi.Guard(ops.NewHandler(h, reg), httpapi.IsLoopbackName(cfg.OpsListen)), log)
	if err != nil {
		return err
	}
	lc.Append(fx.Hook{
		OnStart: func(context.Context) error { server.Serve(fatal(log, down)); return nil },
		OnStop:  server.Shutdown,
	})
	return nil
}

// listen opens an address. A standalone that was not told where to listen takes
// a free port when the usual one is taken, so that two run side by side.
func listen(cfg Config, addr, usual string, handler http.Handler, log *slog.Logger) (*httpapi.Server, error) {
	server, err := httpapi.Listen(context.Background(), addr, handler, log)
	if cfg.Target != Standalone || addr != usual || !errors.Is(err, syscall.EADDRINUSE) {
		return server, err
	}
	server, err = httpapi.Listen(context.Background(), "127.0.0.1:0", handler, log)
	if err == nil {
		log.Warn("the usual address is taken, listening elsewhere", "usual", usual, "address", server.Addr())
	}
	return server, err
}

// fatal ends the process, non-zero, when a part of it has failed for good.
func fatal(log *slog.Logger, down fx.Shutdowner) func(error) {
	return func(err error) {
		log.Error("a part failed, stopping", "error", err)
		if err := down.Shutdown(fx.ExitCode(1)); err != nil {
			log.Error("shutdown not begun", "error", err)
		}
	}
}

// attempts says how long each try of a part may take: the first, which delays
// the start, and those in the background.
type attempts struct{ first, later time.Duration }

// untilDone returns a hook that runs work while the process starts. If that fails, it
// repeats work in the background until it succeeds or the process stops, so that a
// dependency that is away does not block the start.
func untilDone(p process, log *slog.Logger, what string, limit attempts, work func(context.Context) error) fx.Hook {
	ctx, cancel := context.WithCancel(p)
	finished := make(chan struct{})
	return fx.Hook{
		OnStart: func(start context.Context) error {
			first, done := context.WithTimeout(start, limit.first)
			defer done()
			defer context.AfterFunc(p, done)() // a process that is told to stop does not wait for it
			err := work(first)
			if err == nil {
				close(finished)
				return nil
			}
			log.Warn(what+" not ready, trying on", "error", err)
			go func() {
				defer close(finished)
				retryUntilDone(ctx, log, what, limit.later, work)
			}()
			return nil
		},
		OnStop: func(stop context.Context) error {
			cancel()
			select {
			case <-finished:
				return nil
			case <-stop.Done():
				return stop.Err()
			}
		},
	}
}

// startBackoff is the schedule of attempts at a part that was away at the start.
var startBackoff = retry.Backoff{First: 250 * time.Millisecond, Max: 5 * time.Second}

// retryUntilDone runs work until it succeeds or ctx ends, each attempt no longer
// than limit, and logs every new reason for which it fails.
func retryUntilDone(ctx context.Context, log *slog.Logger, what string, limit time.Duration, work func(context.Context) error) {
	reason := ""
	always := func(err error) bool {
		if text := err.Error(); text != reason && ctx.Err() == nil {
			reason = text
			log.Warn(what+" still not ready", "error", err)
		}
		return true
	}
	if startBackoff.Wait(ctx, 0) != nil {
		return
	}
	err := startBackoff.Do(ctx, always, func(int) error {
		attempt, done := context.WithTimeout(ctx, limit)
		defer done()
		return work(attempt)
	})
	if err == nil {
		log.Info(what + " ready")
	}
}

func newKeys(lc fx.Lifecycle, js jetstream.JetStream, log *slog.Logger) *auth.Verifier {
	v := auth.StartVerifier(js, log)
	lc.Append(fx.StopHook(v.Close))
	return v
}

func newAuthenticator(cfg auth.Config, keys *auth.Verifier, log *slog.Logger, clock func() time.Time) (auth.Authenticator, error) {
	return auth.New(auth.Params{Config: cfg, Keys: keys, Principals: keys, Logger: log, Clock: clock})
}

type webIn struct {
	fx.In

	Lifecycle fx.Lifecycle
	Config    Config
	Settings  *settingsKeeper
	Routes    []httpapi.Route    `group:"routes"`
	Auth      auth.Authenticator `optional:"true"` // nil where no route needs it
	Readers   httpapi.Readers    `optional:"true"` // nil where no route is for readers
	Health    *ops.Health
	Registry  prometheus.Registerer
	Log       *slog.Logger
	Down      fx.Shutdowner
	Fallback  http.Handler      `name:"fallback" optional:"true"`
	Own       *lakepulse.Client `name:"own" optional:"true"`
}

// serveWeb serves every route of the target on the one public listener.
func serveWeb(in webIn) error {
	mux := http.NewServeMux()
	mux.Handle("GET /health", httpapi.Correlated(http.HandlerFunc(in.Health.ServeHealth)))
	mux.Handle("GET /ready", httpapi.Correlated(http.HandlerFunc(in.Health.ServeReady)))
	mux.Handle("/", httpapi.NewHandler(httpapi.HandlerParams{
		Routes: in.Routes, Auth: in.Auth, Readers: in.Readers, Log: in.Log, Registry: in.Registry, Fallback: in.Fallback,
	}))
	var handler http.Handler = mux
	if in.Own != nil {
		handler = in.Own.Middleware(handler)
	}
	handler = httpapi.Guard(handler, in.Config.Auth.Mode == auth.ModeDev)
	server, err := listen(in.Config, in.Config.Listen, DefaultConfig().Listen, handler, in.Log)
	if err != nil {
		return err
	}
	in.Lifecycle.Append(in.Settings.hook())
	in.Lifecycle.Append(fx.Hook{
		OnStart: func(context.Context) error {
			server.Serve(fatal(in.Log, in.Down))
			in.Log.Info("serving", "target", in.Config.Target, "address", "http://"+server.Addr(), "auth", in.Config.Auth.Mode)
			return nil
		},
		OnStop: func(ctx context.Context) error {
			in.Health.Stopping()
			return server.Shutdown(ctx)
		},
	})
	return nil
}

type ownIn struct {
	fx.In

	Lifecycle fx.Lifecycle
	Config    Config
	Log       *slog.Logger
	Clock     func() time.Time
	Publisher *stream.Publisher `optional:"true"`
	Ingest    *ingest.Service   `optional:"true"`
}

// completedViews is a sink that leaves out requests whose client left before the
// answer: people who go to another page of the dashboard while one still loads are
// no failures of it.
type completedViews struct{ lakepulse.Sink }

// Send implements lakepulse.Sink.
func (s completedViews) Send(ctx context.Context, b *lakepulse.Batch, dropped int64) (lakepulse.Result, error) {
	all := b.Len()
	kept := *b
	kept.Performance = slices.DeleteFunc(slices.Clone(b.Performance), func(p lakepulse.Performance) bool {
		return p.StatusCode == lakepulse.StatusClientDisconnected
	})
	if kept.Len() == 0 && dropped == 0 {
		return lakepulse.Result{Accepted: all}, nil
	}
	result, err := s.Sink.Send(ctx, &kept, dropped)
	result.Accepted += all - kept.Len()
	return result, err
}

// newOwnClient returns the client the product measures itself with: straight
// onto the log where there is a connection to it, over HTTP elsewhere. Without
// either it is off.
func newOwnClient(in ownIn) (*lakepulse.Client, error) {
	cfg := lakepulse.Config{
		App: event.OwnApp, AppVersion: in.Config.Version, URL: in.Config.Collect.URL, Key: in.Config.Collect.Key,
		// Requests that bring events in are counted as events. Recording each would double the load of an ingest.
		Exclude: []string{"/assets/*", "/api/v1/metrics/usage-events", "/api/v1/metrics/performance-events", "/v1/traces",
			"/api/v1/otlp/v1/traces"},
		Logger: in.Log,
	}
	if in.Publisher != nil {
		sink := stream.Sink{Publisher: in.Publisher, Now: in.Clock}
		if in.Ingest != nil {
			sink.Accepted = in.Ingest.CountDirect
		}
		cfg.URL, cfg.Key, cfg.Sink = "", "", completedViews{sink}
	}
	c, err := lakepulse.New(cfg)
	if err != nil {
		return nil, err
	}
	in.Lifecycle.Append(fx.StopHook(c.Close))
	return c, nil
}
