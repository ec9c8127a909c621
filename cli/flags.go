package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/lakebase"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/settings"
	"github.com/lakepulse/lakepulse/services"
)

// dataFlag is where a standalone keeps its data, and where the tools find it.
type dataFlag struct {
	DataDir string `help:"Where standalone keeps its data; tools find a running standalone there." default:"./.lakepulse" env:"LAKEPULSE_DATA_DIR" type:"path"`
}

// databaseFlags say how to reach the database.
type databaseFlags struct {
	dataFlag `embed:""`

	DatabaseURL string `name:"database" help:"Postgres; without it the PG* variables." env:"DATABASE_URL" placeholder:"URL"`
	MaxConns    int32  `name:"database-conns" help:"Connections at most." default:"10" env:"LAKEPULSE_DATABASE_CONNS"`
}

type authFlag struct {
	Auth string `help:"databricks, or dev (every caller is an administrator; loopback only)." default:"databricks" enum:"dev,databricks" env:"LAKEPULSE_AUTH"`
}

// serveFlags are what every role takes.
type serveFlags struct {
	natsServer `embed:""`

	Listen     string        `help:"Address of the API and the dashboard." default:"127.0.0.1:8080" env:"LAKEPULSE_LISTEN"`
	OpsListen  string        `help:"Address of Prometheus metrics, health and profiles; none for no such listener." default:"127.0.0.1:9090" env:"LAKEPULSE_OPS_LISTEN"`
	DataDir    string        `help:"Where standalone keeps its data." default:"./.lakepulse" env:"LAKEPULSE_DATA_DIR" type:"path"`
	Replicas   int           `name:"stream-replicas" help:"Replicas of a new event log: 1, or 3 in a cluster. 0: those it has." default:"0" env:"LAKEPULSE_STREAM_REPLICAS"`
	StreamMax  int64         `name:"stream-max-bytes" help:"Bytes a new event log may take; -1 leaves it to the server." default:"-1" env:"LAKEPULSE_STREAM_MAX_BYTES"`
	DeadMax    int64         `name:"dead-max-bytes" help:"Bytes the dead letters of a new event log may take; -1 leaves it to the server." default:"-1" env:"LAKEPULSE_DEAD_MAX_BYTES"`
	Database   string        `name:"database" help:"Postgres; without it the PG* variables." env:"DATABASE_URL" placeholder:"URL"`
	MaxConns   int32         `name:"database-conns" help:"Database connections at most." default:"10" env:"LAKEPULSE_DATABASE_CONNS"`
	Migrate    bool          `help:"Bring the schema up to date at the start." default:"true" negatable:"" env:"LAKEPULSE_MIGRATE"`
	Workers    int           `name:"writer-workers" help:"Batches a writer stores side by side." default:"2" env:"LAKEPULSE_WRITER_WORKERS"`
	AckWait    time.Duration `name:"writer-ack-wait" help:"When the messages of a writer that died go to another." default:"30s" env:"LAKEPULSE_WRITER_ACK_WAIT"`
	Host       string        `name:"databricks-host" help:"The workspace that says who a token belongs to." env:"DATABRICKS_HOST" placeholder:"URL"`
	Schedule   bool          `help:"Do the daily run at 02:00 UTC here, without a Databricks job." env:"LAKEPULSE_SCHEDULE"`
	Confirm    string        `help:"When ingest answers 202: log (durable in the event log) or stored (committed to the database). Default: log; stored where all brings its own log." env:"LAKEPULSE_CONFIRM" placeholder:"log|stored"`
	CollectURL string        `name:"collect-url" help:"Where a role without the event log sends the records of itself." env:"LAKEPULSE_COLLECT_URL" placeholder:"URL"`
	CollectKey string        `name:"collect-key" help:"The API key for that." env:"LAKEPULSE_COLLECT_KEY" placeholder:"KEY"`

	RawRetention       time.Duration `help:"How long raw rows live. A recorded setting, 168h at first: see settings." env:"LAKEPULSE_RAW_RETENTION"`
	AggregateRetention time.Duration `help:"How long hourly aggregates live. A recorded setting, 2160h at first: see settings." env:"LAKEPULSE_AGGREGATE_RETENTION"`
	WarnRows           int64         `help:"Rows of a table that are worth a warning." default:"800000" env:"LAKEPULSE_WARN_ROWS"`
	AlertRows          int64         `help:"Rows of a table that are worth an alert." default:"1000000" env:"LAKEPULSE_ALERT_ROWS"`
}

// config turns the flags into the configuration of a process.
func (f *serveFlags) config(e *env, target services.Target, mode string) (services.Config, error) {
	cfg := services.DefaultConfig()
	cfg.Version, cfg.Listen, cfg.OpsListen, cfg.DataDir = e.version, f.Listen, f.OpsListen, f.DataDir
	if cfg.OpsListen == "none" {
		cfg.OpsListen = ""
	}
	if port := e.getenv("DATABRICKS_APP_PORT"); port != "" && e.getenv("LAKEPULSE_LISTEN") == "" {
		cfg.Listen = "0.0.0.0:" + port // the Apps proxy is the one that can reach it
	}
	cfg.NATS = f.natsServer.config(e.getenv, string(target))
	cfg.Topology.Replicas, cfg.Topology.MaxBytes, cfg.Topology.DeadMaxBytes, cfg.Topology.AckWait = f.Replicas, f.StreamMax, f.DeadMax, f.AckWait
	cfg.Migrate, cfg.Writer.Workers = f.Migrate, f.Workers
	cfg.Auth = cfg.Auth.WithEnv(e.getenv)
	cfg.Auth.Mode, cfg.Auth.Host = auth.Mode(mode), f.Host
	cfg.Confirm = services.Confirm(f.Confirm)
	cfg.Collect = services.Collect{URL: f.CollectURL, Key: f.CollectKey}
	cfg.Aggregate.Schedule = f.Schedule
	cfg.Tell(settings.Values{RawRetention: f.RawRetention, AggregateRetention: f.AggregateRetention})
	cfg.SetGovernance(f.WarnRows, f.AlertRows)
	var err error
	cfg.Database, err = database(e, f.Database, f.MaxConns)
	return cfg, err
}

func (f *serveFlags) serve(e *env, target services.Target, mode string) error {
	cfg, err := f.config(e, target, mode)
	if err != nil {
		return err
	}
	return services.Run(e.ctx, target, cfg, e.log)
}

// database returns the configuration of a database: Lakebase's rotating
// credentials where the environment names one, a plain one elsewhere.
func database(e *env, url string, conns int32) (postgres.Config, error) {
	cfg := postgres.DefaultConfig()
	cfg.URL, cfg.MaxConns = url, conns
	lake, inUse := lakebase.FromEnv(e.getenv)
	if !inUse {
		return cfg, nil
	}
	source, err := lakebase.New(lakebase.Params{Config: lake, Logger: e.log, Clock: time.Now})
	if err != nil {
		return cfg, err
	}
	cfg.Tune = source.Tune
	return cfg, nil
}

// config returns the database a tool works on: the named one, else that of a
// running standalone.
func (f *databaseFlags) config(e *env) (postgres.Config, error) {
	url := f.DatabaseURL
	if url == "" && e.getenv("PGHOST") == "" {
		found, err := os.ReadFile(filepath.Join(f.DataDir, "postgres.url"))
		if err != nil {
			return postgres.Config{}, fmt.Errorf("no database: set DATABASE_URL, or start a standalone on %s", f.DataDir)
		}
		url = strings.TrimSpace(string(found))
	}
	return database(e, url, max(f.MaxConns, 2))
}

// otherVariables are LAKEPULSE_… variables that are not flags of this program:
// those of the client libraries, which may share its environment.
var otherVariables = []string{
	"LAKEPULSE_URL", "LAKEPULSE_API_KEY", "LAKEPULSE_APP", "LAKEPULSE_APP_VERSION", "LAKEPULSE_INSTANCE", "LAKEPULSE_DEV_USER",
	"LAKEPULSE_ADMIN_GROUPS", "LAKEPULSE_SERVICE_PRINCIPALS", "LAKEPULSE_PG_SSLMODE", "LAKEPULSE_PG_CONN_LIFETIME", "LAKEPULSE_TEST_DATABASE_URL",
}

// knownVariables refuses a misspelt variable: it would be ignored in silence.
func knownVariables(parser *kong.Kong, environ []string) error {
	known := slices.Clone(otherVariables)
	nodes := []*kong.Node{parser.Model.Node}
	for len(nodes) > 0 {
		node := nodes[0]
		nodes = append(nodes[1:], node.Children...)
		for _, flag := range node.Flags {
			known = append(known, flag.Envs...)
		}
	}
	var errs []error
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "LAKEPULSE_") && !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("unknown variable %s; did you mean %s?", name, nearest(name, known)))
		}
	}
	return errors.Join(errs...)
}

// nearest returns the known name with the smallest edit distance.
func nearest(name string, known []string) string {
	best, least := "", len(name)+64
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
