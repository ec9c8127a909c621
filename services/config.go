package services

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"go.uber.org/fx"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/settings"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/services/admin"
	"github.com/lakepulse/lakepulse/services/aggregate"
	"github.com/lakepulse/lakepulse/services/ingest"
	"github.com/lakepulse/lakepulse/services/query"
	"github.com/lakepulse/lakepulse/services/writer"
)

// Config is everything a process can be told, nested by module.
type Config struct {
	Target    Target
	Version   string
	Listen    string // the API and the dashboard
	OpsListen string // metrics, health, profiles; "" for none
	DataDir   string // of the embedded parts
	NATS      stream.ConnectConfig
	Topology  stream.Topology
	Told      settings.Values // what flags and variables say of the recorded settings; zero values say nothing
	Confirm   Confirm         // after which step ingest answers 202; "" for the target's own default
	Database  postgres.Config
	Migrate   bool // bring the schema up to date before starting
	Auth      auth.Config
	Collect   Collect
	Ingest    ingest.Config
	Writer    writer.Config
	Query     query.Config
	Admin     admin.Config
	Aggregate aggregate.Config
	Clock     func() time.Time
}

// Confirm says after which step ingest answers 202.
type Confirm string

const (
	// ConfirmLog answers once the events are durable in the log.
	ConfirmLog Confirm = "log"
	// ConfirmStored answers once the events are committed to the database.
	ConfirmStored Confirm = "stored"
)

// confirmTimeout is how long ingest waits for the commit before it answers 503.
const confirmTimeout = 10 * time.Second

// Collect says where the product sends the records of itself when it has no
// connection to the log.
type Collect struct {
	URL string
	Key string
}

// DefaultConfig returns the documented defaults.
func DefaultConfig() Config {
	return Config{
		Listen: "127.0.0.1:8080", OpsListen: "127.0.0.1:9090", DataDir: "./.lakepulse",
		Topology: stream.DefaultTopology(), Database: postgres.DefaultConfig(), Migrate: true, Auth: auth.DefaultConfig(),
		Ingest: ingest.DefaultConfig(), Writer: writer.DefaultConfig(), Query: query.DefaultConfig(), Admin: admin.DefaultConfig(),
		Aggregate: aggregate.DefaultConfig(), Clock: time.Now,
	}
}

// SetRetention says how long raw rows and aggregates live, and what follows from
// it: the log keeps a day more than the raw window. Where the installation has
// recorded other values the process does not start.
func (c *Config) SetRetention(raw, aggregates time.Duration) {
	c.Tell(settings.Values{RawRetention: raw, AggregateRetention: aggregates})
}

// Tell says what flags and variables say of the recorded settings. What they do
// not say holds as recorded, at the first start as the defaults have it.
func (c *Config) Tell(v settings.Values) {
	c.Told = v.Or(c.Told)
	known := c.Told.Or(settings.Defaults())
	c.Ingest.RawRetention, c.Writer.RawRetention, c.Query.RawRetention, c.Aggregate.RawRetention = known.RawRetention, known.RawRetention, known.RawRetention, known.RawRetention
	c.Query.AggregateRetention, c.Aggregate.AggregateRetention = known.AggregateRetention, known.AggregateRetention
	c.Topology.MaxAge = logAge(known)
}

// SetGovernance sets at how many rows a table is worth a warning and an alert.
func (c *Config) SetGovernance(warn, alert int64) {
	c.Query.WarnRows, c.Query.AlertRows = warn, alert
	c.Aggregate.WarnRows, c.Aggregate.AlertRows = warn, alert
}

// settle copies what several modules need to know from its one place.
func (c Config) settle() Config {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown" // a name for people; uniqueness comes from the process id
	}
	instance := fmt.Sprintf("%s-%d", host, os.Getpid())
	c.Writer.Topology = c.Topology
	c.Writer.StoreAllOnStop = c.logMayVanish()
	c.Writer.Instance, c.Ingest.Instance = instance, "ingest/"+instance
	c.Ingest.Keyless = c.Auth.Mode == auth.ModeDev
	c.Query.AuthMode, c.Query.Version = api.MeAuthMode(c.Auth.Mode), c.Version
	return c
}

// logMayVanish reports whether the log is inside the process on a disk that may
// be gone at the next start, as in Databricks Apps.
func (c Config) logMayVanish() bool { return c.Target == All && c.NATS.URL == "" }

// withConfirm fills in the target's default.
func (c Config) withConfirm() Config {
	if c.Confirm == "" {
		c.Confirm = ConfirmLog
		if c.logMayVanish() {
			c.Confirm = ConfirmStored
		}
	}
	return c
}

// Validate returns every rule the configuration breaks.
func (c Config) Validate() error {
	var errs []error
	if c.Auth.Mode == auth.ModeDev && !loopback(c.Listen) {
		errs = append(errs, fmt.Errorf("--listen %s: dev authentication makes every caller an administrator, so it only listens on loopback; use --auth databricks", c.Listen))
	}
	if c.Target != Standalone && c.Target != All && c.NATS.URL == "" {
		errs = append(errs, errors.New("NATS_URL: is required (only standalone and all bring their own NATS)"))
	}
	if c.NATS.URL != "" {
		errs = append(errs, c.NATS.Validate())
	}
	switch {
	case c.Confirm != "" && c.Confirm != ConfirmLog && c.Confirm != ConfirmStored:
		errs = append(errs, fmt.Errorf("--confirm %s: must be log or stored", c.Confirm))
	case c.logMayVanish() && c.Confirm == ConfirmLog:
		errs = append(errs, errors.New("--confirm log: needs NATS_URL; the log inside `all` is on a disk that may not last, so 202 waits for the database"))
	}
	usesDatabase := c.Target != Ingest
	if usesDatabase && c.Target != Standalone && c.Database.URL == "" && os.Getenv("PGHOST") == "" {
		errs = append(errs, errors.New("DATABASE_URL or PGHOST: is required (only standalone brings its own Postgres)"))
	}
	if usesDatabase {
		errs = append(errs, c.Database.Validate())
	}
	if c.Target != Writer {
		errs = append(errs, c.Auth.Validate())
	}
	return errors.Join(append(errs, c.Topology.Validate(), c.Ingest.Validate(), c.Writer.Validate(), c.Query.Validate(), c.Admin.Validate(),
		c.Aggregate.Validate())...)
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// parts supplies each module its own part of the configuration.
func (c Config) parts() fx.Option {
	c = c.settle()
	return fx.Supply(c.Auth, c.Ingest, c.Writer, c.Query, c.Admin, c.Aggregate, c.Topology, c.Clock)
}
