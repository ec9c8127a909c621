package cli_test

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/cli"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// result is what a command line wrote and its exit code.
type result struct {
	code      int
	out, errs string
}

// run runs a command line to its end.
func run(t *testing.T, args ...string) result {
	t.Helper()
	return runWith(t, cli.Params{Args: args})
}

func runWith(t *testing.T, p cli.Params) result {
	t.Helper()
	var out, errs safeBuffer
	p.Version, p.Out, p.Errs = "v9.9.9", &out, &errs
	if p.In == nil {
		p.In = strings.NewReader("")
	}
	code := cli.Run(t.Context(), p)
	return result{code, out.String(), errs.String()}
}

// background runs a command line until stop is called.
func background(t *testing.T, args ...string) (out, errs *safeBuffer, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, errs = new(safeBuffer), new(safeBuffer)
	codes := make(chan int, 1)
	go func() {
		codes <- cli.Run(ctx, cli.Params{Version: "v9.9.9", Args: args, In: strings.NewReader(""), Out: out, Errs: errs})
	}()
	return out, errs, func() int {
		cancel()
		return testkit.Receive(t, "the command to end", codes)
	}
}

// safeBuffer is a buffer that one goroutine writes and another reads.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

var _ io.Writer = (*safeBuffer)(nil)

func TestUsageErrorsExitWithTwo(t *testing.T) {
	t.Parallel()
	none := t.TempDir() // no standalone runs here
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"an unknown command":                   {[]string{"standalon"}, "standalon"},
		"an unknown subcommand":                {[]string{"dead", "bury"}, "bury"},
		"a missing subcommand":                 {[]string{"migrate"}, "expected one of"},
		"an unknown flag":                      {[]string{"query", "--lisen", "x"}, "--lisen"},
		"a flag of another role":               {[]string{"writer", "--auth", "dev"}, "--auth"},
		"a flag without its value":             {[]string{"query", "--listen"}, "--listen"},
		"a flag of the wrong type":             {[]string{"writer", "--writer-workers", "many"}, "many"},
		"a value outside the list":             {[]string{"query", "--auth", "none"}, "--auth"},
		"an unknown log level":                 {[]string{"--log-level", "loud", "version"}, "--log-level"},
		"a required flag that is missing":      {[]string{"keys", "create"}, "--app"},
		"an argument too many":                 {[]string{"version", "now"}, "now"},
		"a role without NATS":                  {[]string{"ingest", "--auth", "dev"}, "NATS_URL: is required"},
		"a role without a database":            {[]string{"writer", "--nats", "nats://127.0.0.1:1"}, "DATABASE_URL or PGHOST: is required"},
		"dev authentication in public":         {[]string{"standalone", "--listen", "0.0.0.0:8080"}, "only listens on loopback"},
		"an alert below the warning":           {[]string{"standalone", "--warn-rows", "10", "--alert-rows", "5"}, "rows"},
		"a database URL that is none":          {[]string{"migrate", "--database", "postgres://u:hunter2@h:port/x", "version"}, "DATABASE_URL"},
		"a tool without a log":                 {[]string{"tail", "--data-dir", none}, "no event log: set NATS_URL"},
		"a tool without a database":            {[]string{"demo", "--data-dir", none}, "no database: set DATABASE_URL"},
		"aggregate --once without a database":  {[]string{"aggregate", "--once", "--data-dir", none}, "no database: set DATABASE_URL"},
		"aggregate --once with a wrong flag":   {[]string{"aggregate", "--onec"}, "--onec"},
		"aggregate --once with a short window": {[]string{"aggregate", "--once", "--raw-retention", "1m"}, "retention"},
		"no step back":                         {[]string{"migrate", "--database", "postgres://127.0.0.1:1/x", "down", "--steps", "0"}, "--steps"},
		"a since that is no time":              {[]string{"verify", "--since", "yesterday"}, "--since"},
		"a negative number of ids":             {[]string{"verify", "--ids=-1"}, "--ids"},
		"a speed that is none":                 {[]string{"replay", "--speed", "fast", "--to-file", "-"}, "--speed"},
		"a replay onto its own log":            {[]string{"replay", "--data-dir", none, "--to-data-dir", none}, "same log"},
		"a replay of a missing file":           {[]string{"replay", "--file", none + "/missing"}, "--file"},
		"an irreversible command without yes":  {[]string{"forget", "--user", "ada"}, "cannot be undone"},
		"no dead letter chosen":                {[]string{"dead", "drop"}, "--all"},
		"dead letters chosen twice":            {[]string{"dead", "requeue", "1", "--all"}, "--all"},
		"a dead letter that is no number":      {[]string{"dead", "show", "first"}, "first"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, c.args...)
			require.Equal(t, 2, r.code, "%s%s", r.out, r.errs)
			require.Contains(t, r.errs, c.says)
			require.NotContains(t, r.errs, "hunter2")
			require.Empty(t, r.out, "errors go to standard error")
		})
	}

	t.Run("a misspelt flag names the nearest flag and the command's help", func(t *testing.T) {
		t.Parallel()
		r := run(t, "migrate", "down", "--step", "1")
		require.Contains(t, r.errs, "--steps")
		require.Contains(t, r.errs, `run "lakepulse migrate down --help"`)
	})
}

func TestVariables(t *testing.T) {
	t.Parallel()

	t.Run("a misspelt variable is refused with the nearest name, whatever the command", func(t *testing.T) {
		t.Parallel()
		for misspelt, nearest := range map[string]string{
			"LAKEPULSE_LISTN":           "LAKEPULSE_LISTEN",
			"LAKEPULSE_RAW_RETENTIONS":  "LAKEPULSE_RAW_RETENTION",
			"LAKEPULSE_ADMIN_GROUP":     "LAKEPULSE_ADMIN_GROUPS",
			"LAKEPULSE_DATABASE_CONN":   "LAKEPULSE_DATABASE_CONNS",
			"LAKEPULSE_SERVICE_PRINCPL": "LAKEPULSE_SERVICE_PRINCIPALS",
		} {
			for _, args := range [][]string{{"version"}, {"aggregate", "--once"}, {"writer"}} {
				r := runWith(t, cli.Params{Args: args, Environ: []string{"PATH=/bin", misspelt + "=x"}})
				require.Equal(t, 2, r.code, "%v", args)
				require.Contains(t, r.errs, "unknown variable "+misspelt+"; did you mean "+nearest+"?")
			}
		}
	})

	t.Run("each misspelt variable is named", func(t *testing.T) {
		t.Parallel()
		r := runWith(t, cli.Params{Args: []string{"version"}, Environ: []string{"LAKEPULSE_A=1", "LAKEPULSE_B=2"}})
		require.Contains(t, r.errs, "LAKEPULSE_A;")
		require.Contains(t, r.errs, "LAKEPULSE_B;")
	})

	t.Run("variables of other roles, of clients and of other programs are accepted", func(t *testing.T) {
		t.Parallel()
		r := runWith(t, cli.Params{Args: []string{"version"}, Environ: []string{
			"LAKEPULSE_AUTH=dev", "LAKEPULSE_API_KEY=x", "LAKEPULSE_TRUST_FORWARDED=1", "NATS_URL=x", "LAKE=1",
		}})
		require.Zero(t, r.code, r.errs)
	})
}

func TestVersion(t *testing.T) {
	t.Parallel()
	require.Equal(t, result{out: "lakepulse v9.9.9\n"}, run(t, "version"))
}

// flagsOf returns the flags that the help of a command lists, without the ones of
// every command.
func flagsOf(t *testing.T, command ...string) []string {
	t.Helper()
	r := run(t, append(slices.Clone(command), "--help")...)
	require.Zero(t, r.code, r.errs)
	require.Empty(t, r.errs)
	var flags []string
	for _, found := range regexp.MustCompile(`(?m)^ {2,6}(?:-\w, )?--(\[no-\])?([a-z-]+)`).FindAllStringSubmatch(r.out, -1) {
		if name := found[2]; !slices.Contains([]string{"help", "log-level", "log-format"}, name) {
			flags = append(flags, name)
		}
	}
	slices.Sort(flags)
	return flags
}

// TestEachRoleTakesOnlyTheFlagsItUses lists the flags of every role: a flag without
// effect would hide a mistake.
func TestEachRoleTakesOnlyTheFlagsItUses(t *testing.T) {
	t.Parallel()
	groups := map[string]string{
		"listen":     "listen ops-listen",
		"auth":       "auth databricks-host",
		"data":       "data-dir",
		"nats":       "nats nats-ca nats-cert nats-creds nats-domain nats-inbox-prefix nats-key nats-nkey",
		"stream":     "stream-replicas stream-max-bytes dead-max-bytes",
		"confirm":    "confirm",
		"database":   "database database-conns migrate",
		"writer":     "writer-workers writer-ack-wait",
		"raw":        "raw-retention",
		"retention":  "raw-retention aggregate-retention",
		"governance": "warn-rows alert-rows",
		"schedule":   "schedule",
		"collect":    "collect-url collect-key",
		"once":       "once",
	}
	for role, uses := range map[string]string{
		"standalone": "listen auth data nats stream confirm database writer retention governance",
		"all":        "listen auth data nats stream confirm database writer retention governance schedule",
		"ingest":     "listen auth nats stream confirm raw",
		"writer":     "listen nats stream database writer raw",
		"query":      "listen auth nats database retention governance collect",
		"aggregate":  "listen auth data nats database retention governance schedule once",
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			var want []string
			for _, group := range strings.Fields(uses) {
				want = append(want, strings.Fields(groups[group])...)
			}
			slices.Sort(want)
			require.Equal(t, want, flagsOf(t, role))
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()

	t.Run("is printed without arguments", func(t *testing.T) {
		t.Parallel()
		r := run(t)
		require.Zero(t, r.code)
		require.Equal(t, run(t, "--help"), r)
	})

	t.Run("names every command and describes each flag", func(t *testing.T) {
		t.Parallel()
		top := run(t, "--help").out
		for command, flags := range map[string]string{
			"migrate up":   "data-dir database database-conns",
			"migrate down": "all data-dir database database-conns steps",
			"log shape":    "data-dir dead-max-bytes nats nats-ca nats-cert nats-creds nats-domain nats-inbox-prefix nats-key nats-nkey raw-retention stream-max-bytes stream-replicas",
			"keys create":  "app data-dir database nats nats-ca nats-cert nats-creds nats-domain nats-inbox-prefix nats-key nats-nkey note",
			"keys list":    "data-dir database nats nats-ca nats-cert nats-creds nats-domain nats-inbox-prefix nats-key nats-nkey",
			"keys revoke":  "data-dir database nats nats-ca nats-cert nats-creds nats-domain nats-inbox-prefix nats-key nats-nkey",
			"demo":         "aggregate-retention data-dir database database-conns days raw-retention requests-per-day seed",
			"forget":       "data-dir database dry-run nats nats-ca nats-cert nats-creds nats-domain nats-inbox-prefix nats-key nats-nkey user yes",
			"tail":         "app data-dir json kind nats nats-ca nats-cert nats-creds nats-domain nats-inbox-prefix nats-key nats-nkey",
			"rebuild":      "data-dir database nats nats-ca nats-cert nats-creds nats-domain nats-inbox-prefix nats-key nats-nkey truncate yes",
			"verify":       "data-dir database ids nats nats-ca nats-cert nats-creds nats-domain nats-inbox-prefix nats-key nats-nkey since",
			"dead list":    "data-dir json nats nats-ca nats-cert nats-creds nats-domain nats-inbox-prefix nats-key nats-nkey",
			"dead show":    "data-dir nats nats-ca nats-cert nats-creds nats-domain nats-inbox-prefix nats-key nats-nkey",
			"dead requeue": "all data-dir dry-run nats nats-ca nats-cert nats-creds nats-domain nats-inbox-prefix nats-key nats-nkey",
			"dead drop":    "all data-dir dry-run nats nats-ca nats-cert nats-creds nats-domain nats-inbox-prefix nats-key nats-nkey",
			"version":      "",
		} {
			words := strings.Fields(command)
			require.Contains(t, top, command)
			require.Equal(t, strings.Fields(flags), append([]string{}, flagsOf(t, words...)...), command)
		}
	})
}
