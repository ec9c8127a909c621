package aggregate_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/services/aggregate"
)

// The environment of a victim: this test binary as a process that runs until a
// step and kills itself there.
const (
	victimDSN  = "LAKEPULSE_TEST_VICTIM_DSN"
	victimStep = "LAKEPULSE_TEST_VICTIM_STEP"
	victimN    = "LAKEPULSE_TEST_VICTIM_N"
)

// victim is the main function of such a process. It returns only when the step
// was not reached.
func victim() int {
	n, err := strconv.Atoi(os.Getenv(victimN))
	if err != nil {
		panic(err)
	}
	cfg := postgres.DefaultConfig()
	cfg.URL = os.Getenv(victimDSN)
	pool, err := postgres.Open(context.Background(), cfg)
	if err != nil {
		panic(err)
	}
	runner, err := aggregate.New(aggregate.Params{Config: dayConfig(), Pool: pool,
		Now: func() time.Time { return start }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	c := &counter{at: step{os.Getenv(victimStep), n}}
	aggregate.SetHook(runner, func(_ context.Context, name string) error {
		if c.reached(name) {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		return nil
	})
	_, err = runner.Once(context.Background(), aggregate.Request{Trigger: aggregate.TriggerCommand})
	return aggregate.ExitCode(aggregate.Run{Status: aggregate.Done}, err)
}

func TestKilled(t *testing.T) {
	t.Parallel()
	undisturbed := aDay(t)
	undisturbed.run()
	want := undisturbed.dump()

	for _, at := range steps(t) {
		t.Run("after "+at.String()+", the next run completes the work", func(t *testing.T) {
			t.Parallel()
			w := aDay(t)
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), victimDSN+"="+w.dsn, victimStep+"="+at.name, victimN+"="+strconv.Itoa(at.n))
			out, err := cmd.CombinedOutput()
			exit, ok := err.(*exec.ExitError) //nolint:errorlint // Run's own error
			require.True(t, ok, "%v %s", err, out)
			require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal())

			w.run()
			got := w.dump()
			require.Len(t, got, len(want))
			for i := range want {
				require.Equal(t, want[i], got[i])
			}
			w.requireReference()
			require.Equal(t, 1, scan[int](w, `SELECT count(*) FROM aggregation_runs WHERE status = 'failed'`), "the dead run is known as such")
			require.Equal(t, 1, scan[int](w, `SELECT count(*) FROM aggregation_runs WHERE status = 'done'`))
		})
	}

	t.Run("connections do not end the run", func(t *testing.T) {
		t.Parallel()
		w := aDay(t)
		killed := map[string]bool{"hours written": false, "day written": false, "rows deleted": false, "line moved": false}
		aggregate.SetHook(w.runner, func(ctx context.Context, name string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if done, asked := killed[name]; done || !asked {
				return nil
			}
			killed[name] = true
			return w.killConnections(ctx)
		})
		w.run()
		require.NotContains(t, slices.Collect(maps.Values(killed)), false)
		aggregate.SetHook(w.runner, nil)
		w.requireReference()
	})
}

// killConnections ends every connection that is in a transaction but its own.
func (w *world) killConnections(ctx context.Context) error {
	_, err := w.pool.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle in transaction'`)
	if err != nil {
		return fmt.Errorf("kill connections: %w", err)
	}
	return nil
}
