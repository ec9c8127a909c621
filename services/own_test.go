package services

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	lakepulse "github.com/lakepulse/lakepulse/clients/go"
)

type keptBatches struct {
	batches []lakepulse.Batch
	dropped int64
	err     error
}

func (k *keptBatches) Send(_ context.Context, b *lakepulse.Batch, dropped int64) (lakepulse.Result, error) {
	k.batches, k.dropped = append(k.batches, *b), k.dropped+dropped
	return lakepulse.Result{Accepted: b.Len()}, k.err
}

func TestAbortedViewsOfTheDashboardAreNotRecorded(t *testing.T) {
	t.Parallel()
	view := func(status int) lakepulse.Performance { return lakepulse.Performance{StatusCode: status} }
	sink := &keptBatches{}
	batch := &lakepulse.Batch{Performance: []lakepulse.Performance{view(200), view(lakepulse.StatusClientDisconnected), view(500)}}

	result, err := completedViews{sink}.Send(t.Context(), batch, 3)
	require.NoError(t, err)
	require.Equal(t, 3, result.Accepted, "the client must not send them again")
	require.Equal(t, []lakepulse.Performance{view(200), view(500)}, sink.batches[0].Performance)
	require.EqualValues(t, 3, sink.dropped)
	require.Len(t, batch.Performance, 3, "the caller's batch is as it was")

	result, err = completedViews{sink}.Send(t.Context(), &lakepulse.Batch{Performance: []lakepulse.Performance{view(lakepulse.StatusClientDisconnected)}}, 0)
	require.NoError(t, err)
	require.Equal(t, 1, result.Accepted)
	require.Len(t, sink.batches, 1, "an empty batch is not sent")

	sink.err = errors.New("away")
	_, err = completedViews{sink}.Send(t.Context(), batch, 0)
	require.ErrorIs(t, err, sink.err)
}
