package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/lakepulse/lakepulse/pkg/ops"
)

// commands is the whole command line. Each flag has a variable of the same meaning;
// the flag wins.
type commands struct {
	LogLevel  string `help:"debug, info, warn or error." default:"info" enum:"debug,info,warn,error" env:"LAKEPULSE_LOG_LEVEL"`
	LogFormat string `help:"text or json." default:"text" enum:"text,json" env:"LAKEPULSE_LOG_FORMAT"`

	Standalone standaloneCmd `cmd:"" help:"Run every role in one process, with embedded NATS and Postgres unless their addresses are given."`
	All        allCmd        `cmd:"" help:"Run every role in one process, with Postgres outside; NATS is embedded unless its address is given."`
	Ingest     ingestCmd     `cmd:"" help:"Receive events over HTTP and OTLP and publish them to the event log."`
	Writer     writerCmd     `cmd:"" help:"Store the events of the log in the database."`
	Query      queryCmd      `cmd:"" help:"Serve the dashboard and the admin API."`
	Aggregate  aggregateCmd  `cmd:"" help:"Aggregate closed hours and delete data past its retention."`
	Migrate    migrateCmd    `cmd:"" help:"Migrate the database schema."`
	Log        logCmd        `cmd:"" help:"Create the event log, or change its shape."`
	Settings   settingsCmd   `cmd:"" help:"List and change the recorded settings: retention, shape of the event log."`
	Apps       appsCmd       `cmd:"" help:"Record apps, their service principals and who may read their numbers."`
	Keys       keysCmd       `cmd:"" help:"Create, list and revoke the API keys of apps."`
	Demo       demoCmd       `cmd:"" help:"Fill an installation with 90 days of generated history."`
	Forget     forgetCmd     `cmd:"" help:"Erase a user from the log, the raw rows and the aggregates; the counts stay."`
	Tail       tailCmd       `cmd:"" help:"Print events as they are published, one per line."`
	Replay     replayCmd     `cmd:"" help:"Send events of a log or a file again: to another log, a database or a file."`
	Rebuild    rebuildCmd    `cmd:"" help:"Fill the raw tables from the log, as far back as it reaches."`
	Verify     verifyCmd     `cmd:"" help:"Compare log and database; exit code 2 when they differ."`
	Dead       deadCmd       `cmd:"" help:"List, show, requeue and drop dead letters: messages that could not be stored."`
	Version    versionCmd    `cmd:"" help:"Print the version of this build."`
}

// Params are the surroundings of the process.
type Params struct {
	Version string   // of the build, as the linker set it
	Args    []string // without the program's name
	Environ []string // NAME=value
	In      io.Reader
	Out     io.Writer
	Errs    io.Writer
}

// env is what a command gets besides its flags.
type env struct {
	ctx     context.Context //nolint:containedctx // a command's whole life is one call
	version string
	logger  *slog.Logger
	in      io.Reader
	out     io.Writer
	errs    io.Writer
	getenv  func(string) string
}

// Run parses the command line, runs the command and returns the exit code.
func Run(ctx context.Context, p Params) (code int) {
	defer func() {
		if exit, ok := recover().(kongExit); ok {
			code = int(exit)
		}
	}()
	var c commands
	parser, err := newParser(&c, p.Out, p.Errs)
	if err != nil {
		return fail(p.Errs, err)
	}
	if err := checkVariables(parser, p.Environ); err != nil {
		return fail(p.Errs, usageError(err))
	}
	args := p.Args
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return failUsage(p.Errs, err)
	}
	logger, err := ops.NewLogger(p.Errs, c.LogLevel, c.LogFormat)
	if err != nil {
		return fail(p.Errs, usageError(err))
	}
	e := &env{ctx: ctx, version: p.Version, logger: logger, in: p.In, out: p.Out, errs: p.Errs, getenv: lookup(p.Environ)}
	if err := parsed.Run(e); err != nil {
		return fail(p.Errs, err)
	}
	return exitDone
}

// kongExit is how kong ends a command line of --help: it expects Exit not to return,
// and would go on parsing otherwise.
type kongExit int

func newParser(c *commands, out, errs io.Writer) (*kong.Kong, error) {
	return kong.New(c, kong.Name("lakepulse"), kong.Writers(out, errs),
		kong.Description("Usage and performance metrics for apps on Databricks."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(code int) { panic(kongExit(code)) }))
}

// failUsage writes a parse error and how to get help for the command it is about.
func failUsage(errs io.Writer, err error) int {
	command := "lakepulse"
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context != nil {
		if path := parse.Context.Command(); path != "" {
			command += " " + strings.Join(commandWords(path), " ")
		}
	}
	return fail(errs, usageError(fmt.Errorf("%w; run \"%s --help\" for its usage", err, command)))
}

// commandWords returns the words of a kong command without its arguments, which
// kong writes as <name>.
func commandWords(path string) []string {
	var words []string
	for _, word := range strings.Fields(path) {
		if !strings.HasPrefix(word, "<") && !strings.HasPrefix(word, "[") {
			words = append(words, word)
		}
	}
	return words
}

// lookup returns the variables of environ by name.
func lookup(environ []string) func(string) string {
	values := make(map[string]string, len(environ))
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	return func(name string) string { return values[name] }
}

type versionCmd struct{}

func (versionCmd) Run(e *env) error {
	_, err := fmt.Fprintln(e.out, "lakepulse", e.version)
	return err
}
