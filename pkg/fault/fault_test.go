package fault_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/fault"
)

func TestError(t *testing.T) {
	t.Parallel()
	cause := errors.New("dial tcp: connection refused")

	t.Run("the caller sees the message and the log the cause", func(t *testing.T) {
		t.Parallel()
		err := fault.Wrap(cause, fault.Unavailable, "Data temporarily unavailable")
		require.Equal(t, "Data temporarily unavailable", err.Message)
		require.Contains(t, err.Error(), "connection refused")
		require.ErrorIs(t, err, cause)
		require.Equal(t, http.StatusServiceUnavailable, err.Status())
	})

	t.Run("an unknown error gives nothing away", func(t *testing.T) {
		t.Parallel()
		err := fault.As(cause)
		require.Equal(t, fault.Internal, err.Code)
		require.NotContains(t, err.Message, "dial")
	})

	t.Run("details and retry times do not change the original", func(t *testing.T) {
		t.Parallel()
		first := fault.New(fault.Invalid, "bad")
		second := first.With("field", "status_code").After(time.Second)
		require.Empty(t, first.Details)
		require.Zero(t, first.RetryAfter)
		require.Equal(t, "status_code", second.Details["field"])
	})

	t.Run("permanent survives wrapping", func(t *testing.T) {
		t.Parallel()
		require.True(t, fault.IsPermanent(fmt.Errorf("store: %w", fault.Permanent(cause))))
		require.False(t, fault.IsPermanent(cause))
		require.NoError(t, fault.Permanent(nil))
	})
}
