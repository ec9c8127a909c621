package cli

import (
	"time"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/settings"
	"github.com/lakepulse/lakepulse/services"
)

// flagGroup is flags that belong together. apply puts their values into the
// configuration of a role.
type flagGroup interface {
	apply(e *env, cfg *services.Config) error
}

// configure returns the configuration that the flags of a role add up to.
func configure(e *env, target services.Target, groups ...flagGroup) (services.Config, error) {
	cfg := services.DefaultConfig()
	cfg.Target, cfg.Version = target, e.version
	for _, group := range groups {
		if err := group.apply(e, &cfg); err != nil {
			return cfg, usageError(err)
		}
	}
	return cfg, nil
}

// serve runs a role until its context ends or one of its parts fails for good.
func serve(e *env, target services.Target, groups ...flagGroup) error {
	cfg, err := configure(e, target, groups...)
	if err != nil {
		return err
	}
	if err := cfg.Validate(); err != nil {
		return usageError(err)
	}
	return services.Run(e.ctx, target, cfg, e.logger)
}

type listenFlags struct {
	Listen    string `help:"Address of the API and the dashboard." default:"127.0.0.1:8080" env:"LAKEPULSE_LISTEN"`
	OpsListen string `help:"Address of Prometheus metrics, health and profiles; none for no such listener." default:"127.0.0.1:9090" env:"LAKEPULSE_OPS_LISTEN"`
}

func (f *listenFlags) apply(e *env, cfg *services.Config) error {
	cfg.Listen, cfg.OpsListen = f.Listen, f.OpsListen
	if cfg.OpsListen == "none" {
		cfg.OpsListen = ""
	}
	if port := e.getenv("DATABRICKS_APP_PORT"); port != "" && e.getenv("LAKEPULSE_LISTEN") == "" {
		cfg.Listen = "0.0.0.0:" + port // only the proxy of Databricks Apps can reach it
	}
	return nil
}

// authFlags are for every role but standalone.
type authFlags struct {
	Auth string `help:"databricks, or dev (every caller is an administrator; loopback only)." default:"databricks" enum:"dev,databricks" env:"LAKEPULSE_AUTH"`
	Host string `name:"databricks-host" help:"URL of the workspace whose users may sign in." env:"DATABRICKS_HOST" placeholder:"URL"`
}

func (f *authFlags) apply(e *env, cfg *services.Config) error {
	cfg.Auth = cfg.Auth.WithEnv(e.getenv)
	cfg.Auth.Mode, cfg.Auth.Host = auth.Mode(f.Auth), f.Host
	return nil
}

// devAuthFlags are authFlags with the default of standalone.
type devAuthFlags struct {
	Auth string `help:"dev (every caller is an administrator; loopback only) or databricks." default:"dev" enum:"dev,databricks" env:"LAKEPULSE_AUTH"`
	Host string `name:"databricks-host" help:"URL of the workspace whose users may sign in." env:"DATABRICKS_HOST" placeholder:"URL"`
}

func (f *devAuthFlags) apply(e *env, cfg *services.Config) error {
	same := authFlags(*f)
	return same.apply(e, cfg)
}

// streamFlags are for the roles that create the streams.
type streamFlags struct {
	Replicas  int   `name:"stream-replicas" help:"Replicas of a new event log: 1, or 3 in a cluster. 0 keeps those of an existing one." default:"0" env:"LAKEPULSE_STREAM_REPLICAS"`
	StreamMax int64 `name:"stream-max-bytes" help:"Largest size of a new event log in bytes; -1 leaves it to the server." default:"-1" env:"LAKEPULSE_STREAM_MAX_BYTES"`
	DeadMax   int64 `name:"dead-max-bytes" help:"Largest size of the dead letters of a new event log in bytes; -1 leaves it to the server." default:"-1" env:"LAKEPULSE_DEAD_MAX_BYTES"`
}

func (f *streamFlags) apply(_ *env, cfg *services.Config) error {
	cfg.Topology.Replicas, cfg.Topology.MaxBytes, cfg.Topology.DeadMaxBytes = f.Replicas, f.StreamMax, f.DeadMax
	return nil
}

// confirmFlag is for the roles with ingest.
type confirmFlag struct {
	Confirm string `help:"When ingest answers 202: log (durable in the event log) or stored (committed to the database). Default: log; stored where all uses embedded NATS." env:"LAKEPULSE_CONFIRM" placeholder:"log|stored"`
}

func (f *confirmFlag) apply(_ *env, cfg *services.Config) error {
	cfg.Confirm = services.Confirm(f.Confirm)
	return nil
}

// poolFlags are for the roles that use the database.
type poolFlags struct {
	DatabaseURL string `name:"database" help:"Postgres connection string; without it the PG* variables are used." env:"DATABASE_URL" placeholder:"URL"`
	MaxConns    int32  `name:"database-conns" help:"Largest number of database connections, shared out between writing, questions, and counts with readiness." default:"18" env:"LAKEPULSE_DATABASE_CONNS"`
	Migrate     bool   `help:"Migrate the schema at the start." default:"true" negatable:"" env:"LAKEPULSE_MIGRATE"`
}

func (f *poolFlags) apply(e *env, cfg *services.Config) error {
	cfg.Migrate = f.Migrate
	var err error
	cfg.Database, err = databaseConfig(e, f.DatabaseURL, f.MaxConns)
	return err
}

type writerFlags struct {
	Workers int           `name:"writer-workers" help:"Batches that a writer stores in parallel." default:"2" env:"LAKEPULSE_WRITER_WORKERS"`
	AckWait time.Duration `name:"writer-ack-wait" help:"How long after a writer's death its messages go to another." default:"30s" env:"LAKEPULSE_WRITER_ACK_WAIT"`
}

func (f *writerFlags) apply(_ *env, cfg *services.Config) error {
	cfg.Writer.Workers, cfg.Topology.AckWait = f.Workers, f.AckWait
	return nil
}

// rawRetentionFlag is for the roles that handle events and no aggregates.
type rawRetentionFlag struct {
	RawRetention time.Duration `help:"How long raw rows are kept. A recorded setting, 168h at first: see settings." env:"LAKEPULSE_RAW_RETENTION"`
}

func (f *rawRetentionFlag) apply(_ *env, cfg *services.Config) error {
	cfg.Tell(settings.Values{RawRetention: f.RawRetention})
	return nil
}

type retentionFlags struct {
	RawRetention       time.Duration `help:"How long raw rows are kept. A recorded setting, 168h at first: see settings." env:"LAKEPULSE_RAW_RETENTION"`
	AggregateRetention time.Duration `help:"How long hourly aggregates are kept. A recorded setting, 2160h at first: see settings." env:"LAKEPULSE_AGGREGATE_RETENTION"`
}

func (f *retentionFlags) apply(_ *env, cfg *services.Config) error {
	cfg.Tell(settings.Values{RawRetention: f.RawRetention, AggregateRetention: f.AggregateRetention})
	return nil
}

// governanceFlags say from how many rows of a table on people are told.
type governanceFlags struct {
	WarnRows  int64 `help:"Rows of a table from which on a warning is logged." default:"800000" env:"LAKEPULSE_WARN_ROWS"`
	AlertRows int64 `help:"Rows of a table from which on an error is logged." default:"1000000" env:"LAKEPULSE_ALERT_ROWS"`
}

func (f *governanceFlags) apply(_ *env, cfg *services.Config) error {
	cfg.SetGovernance(f.WarnRows, f.AlertRows)
	return nil
}

type scheduleFlag struct {
	Schedule bool `help:"Start the daily run at 02:00 UTC in this process, without a Databricks job." env:"LAKEPULSE_SCHEDULE"`
}

func (f *scheduleFlag) apply(_ *env, cfg *services.Config) error {
	cfg.Aggregate.Schedule = f.Schedule
	return nil
}

// collectFlags say where a role without the streams sends records of its own requests.
type collectFlags struct {
	CollectURL string `name:"collect-url" help:"Ingest URL to which this process sends records of its own requests." env:"LAKEPULSE_COLLECT_URL" placeholder:"URL"`
	CollectKey string `name:"collect-key" help:"API key for --collect-url." env:"LAKEPULSE_COLLECT_KEY" placeholder:"KEY"`
}

func (f *collectFlags) apply(_ *env, cfg *services.Config) error {
	cfg.Collect = services.Collect{URL: f.CollectURL, Key: f.CollectKey}
	return nil
}
