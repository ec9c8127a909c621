package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"github.com/lakepulse/lakepulse/bench/report"
)

// collection: what recording a request costs the app, beside what others cost.
// The benchmarks are Go's own, in a test binary that is run once a round.
func (b *bench) collection(ctx context.Context) error {
	binary := b.dir + "/collection.test"
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./collection").CombinedOutput(); err != nil { //nolint:gosec // our own package
		return fmt.Errorf("%w: %s", err, out)
	}
	for range b.rounds {
		took := "200ms"
		if !b.quick {
			took = "500ms"
		}
		out, err := exec.CommandContext(ctx, binary, "-test.run", "^$", "-test.bench", ".", "-test.benchtime", took).Output() //nolint:gosec // as above
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		if err := b.collectionRound(out); err != nil {
			return err
		}
	}
	r := b.report
	for _, other := range []string{"Bare", "Channel", "Promhttp", "Otelhttp"} {
		r.Ratio("Lakepulse / "+other, "Lakepulse", other, report.NoLimit())
	}
	r.Bound("overhead of the middleware", "Lakepulse", report.NoLimit())
	return nil
}

func (b *bench) collectionRound(out []byte) error {
	lines := bufio.NewScanner(bytes.NewReader(out))
	found := false
	for lines.Scan() {
		name, rest, is := strings.Cut(lines.Text(), "\t")
		if !is || !strings.HasPrefix(name, "Benchmark") {
			continue
		}
		name, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimSpace(name), "Benchmark"), "-")
		fields := strings.Fields(rest)
		for i := 2; i < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i-1], 64)
			if err != nil {
				return err
			}
			switch fields[i] {
			case "ns/op":
				b.report.Add(name, "ns/request", v)
				found = true
			case "allocs/op":
				b.report.Add(name+": allocations", "per request", v)
			}
		}
	}
	if !found {
		return errors.New("no benchmark ran")
	}
	return lines.Err()
}
