package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// fault is something that goes wrong for a while. It begins, lasts, and mend
// makes it good again; lanes of faults run side by side, so each fault has what
// it breaks to itself.
type fault struct {
	what  string
	begin func() error
	mend  func() error
}

// system is what the fault suite can break.
type system struct {
	urls   []string
	lanes  [][]fault
	settle func(l *ledger, app string) // waits, and compares ledger and tables
}

// TestFaults runs the seeds it is told to, or two.
func TestFaults(t *testing.T) {
	for _, seed := range seeds(t) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			runSeed(t, seed)
		})
	}
}

func seeds(t *testing.T) []uint64 {
	t.Helper()
	if text := os.Getenv("LAKEPULSE_FAULT_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		return []uint64{seed}
	}
	n := 2
	if text := os.Getenv("LAKEPULSE_FAULT_SEEDS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	start := rand.Uint64N(1 << 40)
	list := make([]uint64, n)
	for i := range list {
		list[i] = start - start%2 + uint64(i) // an index; even seeds: roles apart, odd: standalone
	}
	return list
}

func runSeed(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1)) // faults need to be repeatable, not secret
	var s system
	if seed%2 == 0 {
		s = breakableApart(t, rnd)
	} else {
		s = breakableAlone(t, rnd)
	}
	app := fmt.Sprintf("fault-%d", seed)
	t.Logf("seed %d (repeat with LAKEPULSE_FAULT_SEED=%d)", seed, seed)

	l := &ledger{}
	stop := make(chan struct{})
	patience, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var senders errgroup.Group
	for i := range 3 {
		own := newSender(t, app, l, s.urls...)
		source := rand.New(rand.NewPCG(seed, uint64(10+i))) // as above
		senders.Go(func() error { return own.run(source, stop, patience) })
	}
	breakThings(t, rnd, s.lanes)
	close(stop)
	require.NoError(t, senders.Wait(), "every batch must be accepted in the end")
	s.settle(l, app)
	t.Logf("seed %d: %d events accepted in %d attempts, each stored once", seed, len(l.ids()), l.attempts)
}

// faultsPerLane and the times make a seed break things for some ten seconds.
const faultsPerLane = 4

// breakThings runs the lanes side by side, each its faults one after the other.
func breakThings(t *testing.T, rnd *rand.Rand, lanes [][]fault) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var history []string
	failures := make([]error, len(lanes))
	began := time.Now()
	for i, lane := range lanes {
		source := rand.New(rand.NewPCG(rnd.Uint64(), rnd.Uint64())) // as above
		wg.Go(func() {
			for range faultsPerLane {
				f := lane[source.IntN(len(lane))]
				calm, lasting := time.Duration(source.IntN(700))*time.Millisecond, time.Duration(200+source.IntN(1800))*time.Millisecond
				<-time.After(calm)
				mu.Lock()
				history = append(history, fmt.Sprintf("%6.2fs %s for %s", time.Since(began).Seconds(), f.what, lasting))
				mu.Unlock()
				if failures[i] = f.begin(); failures[i] != nil {
					return
				}
				<-time.After(lasting)
				if failures[i] = f.mend(); failures[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	t.Logf("faults:\n  %s", strings.Join(history, "\n  "))
	for _, err := range failures {
		require.NoError(t, err)
	}
}

func breakableApart(t *testing.T, _ *rand.Rand) system {
	a := newApart(t, 2, 2)
	processes := slices.Concat(a.ingest, a.writer)
	var own, network, parts []fault
	for _, p := range processes {
		own = append(own, killed(p), stopped(p))
	}
	for _, name := range sortedKeys(a.proxies) {
		network = append(network, broken(name, a.proxies[name])...)
	}
	for i := range a.writer {
		network = append(network, slow(fmt.Sprintf("writer%d to postgres", i+1), a.proxies[fmt.Sprintf("writer%d to postgres", i+1)]))
	}
	parts = append(parts,
		fault{"postgres killed", a.database.Kill, func() error { return a.database.Restart(t.Context()) }},
		fault{"nats stopped", func() error { a.log.Stop(); return nil }, a.log.Restart},
		terminated(a.database.DSN))
	return system{
		urls: a.urls, lanes: [][]fault{own, network, parts},
		settle: func(l *ledger, app string) { a.requireKept(l, app) },
	}
}

func breakableAlone(t *testing.T, _ *rand.Rand) system {
	a := newAlone(t)
	own := []fault{killed(a.process), stopped(a.process), postmasterKilled(a)}
	network := append(broken("clients to standalone", a.proxies["clients to standalone"]),
		terminated(func() string { return a.dsn(t) }))
	return system{
		urls: []string{a.url}, lanes: [][]fault{own, network},
		settle: func(l *ledger, app string) { a.requireKept(t, l, app) },
	}
}

func sortedKeys(m map[string]*testkit.Proxy) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func killed(p *process) fault {
	return fault{"kill -9 " + p.name, func() error { p.kill(); return nil }, func() error { p.start(); return nil }}
}

func stopped(p *process) fault {
	return fault{
		"SIGSTOP " + p.name,
		func() error { p.signal(syscall.SIGSTOP); return nil },
		func() error { p.signal(syscall.SIGCONT); return nil },
	}
}

func broken(name string, proxy *testkit.Proxy) []fault {
	heal := func() error { proxy.Heal(); return nil }
	return []fault{
		{"cut: " + name, func() error { proxy.Cut(); return nil }, heal},
		{"silence: " + name, func() error { proxy.Stall(); return nil }, heal},
	}
}

func slow(name string, proxy *testkit.Proxy) fault {
	return fault{
		"slow: " + name,
		func() error { proxy.Delay(150 * time.Millisecond); return nil },
		func() error { proxy.Delay(0); return nil },
	}
}

// terminated ends every connection of the database but its own. A database that
// is away just then has none.
func terminated(dsn func() string) fault {
	return fault{
		"connections terminated",
		func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			conn, err := pgx.Connect(ctx, dsn())
			if err != nil {
				return nil // see above
			}
			_, _ = conn.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'`)
			_ = conn.Close(ctx)
			return nil
		},
		func() error { return nil },
	}
}

// postmasterKilled kills the database a standalone has started. The standalone
// starts it again.
func postmasterKilled(a *alone) fault {
	return fault{
		"kill -9 of standalone's postgres",
		func() error {
			data, err := os.ReadFile(filepath.Join(a.dir, "postgres", "postmaster.pid"))
			if err != nil {
				return nil //nolint:nilerr // none is running: the standalone is just coming up
			}
			first, _, _ := strings.Cut(string(data), "\n")
			pid, err := strconv.Atoi(first)
			if err != nil {
				return fmt.Errorf("postmaster.pid: %w", err)
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
				return err
			}
			return nil
		},
		func() error { return nil },
	}
}
