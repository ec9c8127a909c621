// Command bench measures Lakepulse beside its peers and beside what Postgres and
// the disk allow, all on this machine and in turns. See docs/performance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lakepulse/lakepulse/bench/report"
	"github.com/lakepulse/lakepulse/bench/rig"
)

// bench is one run.
type bench struct {
	quick   bool
	rounds  int
	dir     string // of everything that is started
	binary  string // lakepulse
	against string // another build of it
	peers   string // where the peers' programs are
	rows    int    // of the dashboard's data; 0 for the usual sizes
	only    []string
	skip    []string
	pg      *rig.Postgres
	report  *report.Report
	log     *slog.Logger
}

// sections in the order they run. fullOnly ones take too long for a quick look.
// The plan is what a full run takes on two cores that have nothing else to do.
var sections = []struct {
	name     string
	fullOnly bool
	plan     time.Duration
	run      func(*bench, context.Context) error
}{
	{"footprint", false, 60 * time.Second, (*bench).footprint},
	{"pipeline", false, 210 * time.Second, (*bench).pipeline},
	{"accepted", false, 80 * time.Second, (*bench).accepted},
	{"latency", false, 110 * time.Second, (*bench).latency},
	{"freshness", false, 60 * time.Second, (*bench).freshness},
	{"dashboard", false, 500 * time.Second, (*bench).dashboard},
	{"cardinality", true, 900 * time.Second, (*bench).cardinality},
	{"collection", false, 45 * time.Second, (*bench).collection},
	{"scaling", true, 90 * time.Second, (*bench).scaling},
	{"growth", true, 330 * time.Second, (*bench).growth},
}

// onDemand sections run when they are named.
var onDemand = map[string]func(*bench, context.Context) error{
	"profile": (*bench).profile, "compare": (*bench).compare,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if len(os.Args) > 2 && os.Args[1] == "nats" {
		return rig.ServeNATS(ctx, os.Args[2], slices.Contains(os.Args[3:], "relaxed"), log)
	}
	b := &bench{log: log, report: &report.Report{Started: time.Now().UTC(), Machine: machine(), Command: strings.Join(os.Args, " ")}}
	var only, skip, out string
	flag.BoolVar(&b.quick, "quick", false, "a short look: three rounds of small runs")
	flag.IntVar(&b.rounds, "rounds", 0, "rounds of each comparison (5, quick 3)")
	flag.StringVar(&b.binary, "binary", "../bin/lakepulse", "the program under test")
	flag.StringVar(&b.against, "against", "", "another build of it, for -only compare")
	flag.StringVar(&b.peers, "peers", "bin", "where the peers' programs are; one that is not there is left out")
	flag.IntVar(&b.rows, "rows", 0, "raw rows of the dashboard's and the aggregation's data instead of the usual sizes")
	flag.StringVar(&out, "out", "results.json", "where the results go")
	flag.StringVar(&only, "only", "", "comma separated sections to run instead of all")
	flag.StringVar(&skip, "skip", "", "comma separated sections to leave out")
	flag.Parse()
	b.report.Quick = b.quick
	if b.rounds == 0 {
		b.rounds = b.pick(3, 5)
	}
	b.only, b.skip = list(only), list(skip)
	dir, err := os.MkdirTemp("", "lakepulse-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()     // what is left there is of no use to anybody
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // Postgres may run under an account of its own
		return err
	}
	b.dir = dir
	if b.binary, err = filepath.Abs(b.binary); err != nil {
		return err
	}
	err = b.measure(ctx)
	return errors.Join(err, b.report.Print(os.Stdout), b.report.Write(out))
}

// pick returns what a quick or a full run uses.
func (b *bench) pick(quick, full int) int {
	if b.quick {
		return quick
	}
	return full
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func (b *bench) measure(ctx context.Context) (err error) {
	b.pg, err = rig.StartPostgres(ctx, filepath.Join(b.dir, "postgres"), b.log)
	if err != nil {
		return err
	}
	defer func() {
		if e := b.pg.Close(context.WithoutCancel(ctx)); err == nil {
			err = e
		}
	}()
	if err := b.begin(ctx); err != nil {
		return err
	}
	var failed []error
	for name, section := range onDemand {
		if slices.Contains(b.only, name) {
			failed = append(failed, b.section(ctx, name, 0, section))
		}
	}
	for _, s := range sections {
		wanted := len(b.only) == 0 && (!b.quick || !s.fullOnly) || slices.Contains(b.only, s.name)
		if wanted && !slices.Contains(b.skip, s.name) {
			failed = append(failed, b.section(ctx, s.name, s.plan, s.run))
		}
	}
	b.report.Ended, b.report.Load.End = time.Now().UTC(), loadAverage()
	return errors.Join(failed...)
}

// section runs a section. One that fails does not take the others' results along.
func (b *bench) section(ctx context.Context, name string, plan time.Duration, run func(*bench, context.Context) error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	b.report.Section(name)
	before, started := loadAverage(), time.Now()
	err := run(b, ctx)
	took := time.Since(started).Round(100 * time.Millisecond)
	b.report.Took(took, before)
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
		b.report.Note("not finished: %v", err)
		return err
	}
	against := ""
	if !b.quick && plan > 0 {
		against = fmt.Sprintf(", planned %s", plan)
	}
	fmt.Fprintf(os.Stderr, "bench: %s took %s%s\n", name, took, against)
	return nil
}

// folder makes a directory for a part's data.
func (b *bench) folder(name string) (string, error) {
	dir := filepath.Join(b.dir, name)
	return dir, os.MkdirAll(dir, 0o755) //nolint:gosec // as above
}
