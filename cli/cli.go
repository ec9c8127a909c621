// Package cli is the command line of lakepulse: it turns flags and variables into
// the configuration of a role (services.Run) or into the options of a tool.
//
// One binary holds every role. services/services.go says what each target is
// made of; cli.go lists the commands.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"

	"github.com/lakepulse/lakepulse/pkg/ops"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/services"
)

// cli is the command line. Each flag has a variable that says the same; the
// flag wins.
type cli struct {
	LogLevel  string `help:"debug, info, warn or error." default:"info" env:"LAKEPULSE_LOG_LEVEL"`
	LogFormat string `help:"text or json." default:"text" enum:"text,json" env:"LAKEPULSE_LOG_FORMAT"`

	Standalone standaloneCmd `cmd:"" help:"Every role in one process, with NATS and Postgres inside unless they are named."`
	All        allCmd        `cmd:"" help:"Every role in one process, with Postgres outside, and NATS inside unless NATS_URL names one."`
	Ingest     ingestCmd     `cmd:"" help:"Take events in: HTTP and OTLP to the event log."`
	Writer     writerCmd     `cmd:"" help:"Store what the event log holds."`
	Query      queryCmd      `cmd:"" help:"Answer the dashboard and the admin API."`
	Aggregate  aggregateCmd  `cmd:"" help:"Roll up closed hours and keep to the retention."`
	Migrate    migrateCmd    `cmd:"" help:"Bring the database's schema to a version."`
	Log        logCmd        `cmd:"" help:"Make the event log, or change its shape."`
	Settings   settingsCmd   `cmd:"" help:"List and change the recorded settings: retention, shape of the event log."`
	Apps       appsCmd       `cmd:"" help:"Record apps, their service principals and who may read their numbers."`
	Keys       keysCmd       `cmd:"" help:"Make, list and revoke the API keys of apps."`
	Demo       demoCmd       `cmd:"" help:"Fill an installation with 90 days of believable history."`
	Forget     forgetCmd     `cmd:"" help:"Erase a user from log, rows and aggregates; the counts stay."`
	Tail       tailCmd       `cmd:"" help:"Show events as they come, one a line."`
	Replay     replayCmd     `cmd:"" help:"Play events of a log or a file again: onto another log, into a database or a file."`
	Rebuild    rebuildCmd    `cmd:"" help:"Fill the raw tables from the log, as far back as it reaches."`
	Verify     verifyCmd     `cmd:"" help:"Compare log and database; exit code 2 when they differ."`
	Dead       deadCmd       `cmd:"" help:"List, show, requeue and drop what could not be stored."`
	Version    versionCmd    `cmd:"" help:"Say which build this is."`
}

// env is what commands get besides their flags.
type env struct {
	ctx     context.Context //nolint:containedctx // a command's whole life is one call
	version string
	log     *slog.Logger
	out     io.Writer
	errs    io.Writer
	getenv  func(string) string
}

// Params are the process as the command line sees it.
type Params struct {
	Version string   // of the build, as the linker set it
	Args    []string // without the program's name
	Environ []string // NAME=value
	Out     io.Writer
	Errs    io.Writer
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return e.err.Error() }
func (e exitError) Unwrap() error { return e.err }

// Run parses the command line, runs the command and returns the exit code.
func Run(ctx context.Context, p Params) int {
	args, out, errs := p.Args, p.Out, p.Errs
	var c cli
	parser, err := kong.New(&c, kong.Name("lakepulse"), kong.Writers(out, errs), kong.UsageOnError(),
		kong.Description("Usage and performance metrics for apps on Databricks."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		return fail(errs, err)
	}
	if err := knownVariables(parser, p.Environ); err != nil {
		return fail(errs, err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		parser.FatalIfErrorf(err)
	}
	log, err := ops.NewLogger(errs, c.LogLevel, c.LogFormat)
	if err != nil {
		return fail(errs, err)
	}
	if err := parsed.Run(&env{ctx: ctx, version: p.Version, log: log, out: out, errs: errs, getenv: os.Getenv}); err != nil {
		return fail(errs, err)
	}
	return 0
}

func fail(errs io.Writer, err error) int {
	// Nothing is left to do when even the complaint cannot be written.
	_, _ = fmt.Fprintf(errs, "lakepulse: %v\n", err)
	if e, ok := errors.AsType[exitError](err); ok {
		return e.code
	}
	return 1
}

type versionCmd struct{}

func (versionCmd) Run(e *env) error {
	_, err := fmt.Fprintln(e.out, "lakepulse", e.version)
	return err
}

// The roles.

type standaloneCmd struct {
	serveFlags `embed:""`

	Auth string `help:"dev (every caller is an administrator; loopback only) or databricks." default:"dev" enum:"dev,databricks" env:"LAKEPULSE_AUTH"`
}

func (c *standaloneCmd) Run(e *env) error {
	c.Schedule = true // nobody else triggers the daily run here
	return c.serve(e, services.Standalone, c.Auth)
}

type allCmd struct {
	serveFlags `embed:""`
	authFlag   `embed:""`
}

func (c *allCmd) Run(e *env) error { return c.serve(e, services.All, c.Auth) }

type ingestCmd struct {
	serveFlags `embed:""`
	authFlag   `embed:""`
}

func (c *ingestCmd) Run(e *env) error { return c.serve(e, services.Ingest, c.Auth) }

type writerCmd struct {
	serveFlags `embed:""`
	authFlag   `embed:""`
}

func (c *writerCmd) Run(e *env) error { return c.serve(e, services.Writer, c.Auth) }

type queryCmd struct {
	serveFlags `embed:""`
	authFlag   `embed:""`
}

func (c *queryCmd) Run(e *env) error { return c.serve(e, services.Query, c.Auth) }

type aggregateCmd struct {
	serveFlags `embed:""`
	authFlag   `embed:""`

	Once bool `help:"One run in the foreground: exit code 0 done, 1 database unreachable, 2 aggregation failed."`
}

func (c *aggregateCmd) Run(e *env) error {
	if c.Once {
		return aggregateOnce(e, &c.serveFlags)
	}
	return c.serve(e, services.Aggregate, c.Auth)
}

// The schema.

type migrateCmd struct {
	databaseFlags `embed:""`

	Up      migrateUpCmd      `cmd:"" help:"To the newest version."`
	Down    migrateDownCmd    `cmd:"" help:"Back by some versions; with --all to an empty database, data and all."`
	Version migrateVersionCmd `cmd:"" help:"Print the version the database has."`
}

type migrateUpCmd struct{}

func (migrateUpCmd) Run(e *env, c *cli) error {
	cfg, err := c.Migrate.config(e)
	if err != nil {
		return err
	}
	return postgres.Migrate(e.ctx, cfg)
}

type migrateDownCmd struct {
	Steps int  `help:"How many versions back." default:"1"`
	All   bool `help:"All versions back: every table goes."`
}

func (m migrateDownCmd) Run(e *env, c *cli) error {
	cfg, err := c.Migrate.config(e)
	if err != nil {
		return err
	}
	steps := m.Steps
	if m.All {
		steps = 0
	} else if steps < 1 {
		return errors.New("--steps: must be at least 1")
	}
	return postgres.MigrateDown(e.ctx, cfg, steps)
}

type migrateVersionCmd struct{}

func (migrateVersionCmd) Run(e *env, c *cli) error {
	cfg, err := c.Migrate.config(e)
	if err != nil {
		return err
	}
	v, dirty, err := postgres.MigrationVersion(e.ctx, cfg)
	if err != nil {
		return err
	}
	state := ""
	if dirty {
		state = " (a migration broke half-way)"
	}
	_, err = fmt.Fprintf(e.out, "%d%s\n", v, state)
	return err
}
