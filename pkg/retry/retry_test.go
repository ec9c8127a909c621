package retry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lakepulse/lakepulse/pkg/retry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDelay(t *testing.T) {
	t.Parallel()
	b := retry.Backoff{First: 8 * time.Millisecond, Max: 50 * time.Millisecond}
	for attempt, full := range map[int]time.Duration{
		-1: 8, 0: 8, 1: 16, 2: 32, 3: 50, 4: 50, 1000: 50,
	} {
		full *= time.Millisecond
		seen := map[time.Duration]bool{}
		for range 200 {
			d := b.Delay(attempt)
			require.GreaterOrEqual(t, d, full/2, "attempt %d", attempt)
			require.LessOrEqual(t, d, full, "attempt %d", attempt)
			seen[d] = true
		}
		require.Greater(t, len(seen), 1, "delays of attempt %d are jittered", attempt)
	}

	t.Run("a zero schedule does not wait", func(t *testing.T) {
		t.Parallel()
		require.Zero(t, retry.Backoff{}.Delay(3))
	})
}

func TestDo(t *testing.T) {
	t.Parallel()
	fast := retry.Backoff{First: time.Microsecond, Max: time.Microsecond}
	errTransient, errPermanent := errors.New("transient"), errors.New("permanent")
	again := func(err error) bool { return errors.Is(err, errTransient) }
	script := func(errs ...error) (calls *int, f func(int) error) {
		calls = new(int)
		return calls, func(attempt int) error {
			require.Equal(t, *calls, attempt, "attempts are counted from 0")
			*calls++
			return errs[min(attempt, len(errs)-1)]
		}
	}

	t.Run("calls until success", func(t *testing.T) {
		t.Parallel()
		calls, f := script(errTransient, errTransient, nil)
		require.NoError(t, fast.Do(t.Context(), again, f))
		require.Equal(t, 3, *calls)
	})

	t.Run("stops at an error that is not to be retried", func(t *testing.T) {
		t.Parallel()
		calls, f := script(errTransient, errPermanent)
		require.ErrorIs(t, fast.Do(t.Context(), again, f), errPermanent)
		require.Equal(t, 2, *calls)
	})

	t.Run("returns the last error when the context ends", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		err := retry.Backoff{First: time.Hour, Max: time.Hour}.Do(ctx, again, func(int) error {
			cancel()
			return errTransient
		})
		require.ErrorIs(t, err, errTransient)
	})
}

func TestSleep(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, retry.Sleep(ended, time.Hour), context.Canceled)
	require.ErrorIs(t, retry.Sleep(ended, 0), context.Canceled, "a context that has ended wins over a wait of nothing")
	require.NoError(t, retry.Sleep(t.Context(), 0))
	require.NoError(t, retry.Backoff{}.Wait(t.Context(), 0))
}
