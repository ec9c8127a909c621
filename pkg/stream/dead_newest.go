package stream

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// NewestDead returns up to limit dead letters, the newest of all, oldest first.
// A stream can only be read forwards, and letters that were dropped leave holes
// in its numbers: where to begin is searched by halves unless there are none.
func NewestDead(ctx context.Context, js jetstream.JetStream, limit int) ([]*DeadLetter, error) {
	s, err := js.Stream(ctx, DeadName)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", DeadName, err)
	}
	most := uint64(max(0, limit)) // not negative
	state := s.CachedInfo().State
	if state.Msgs <= most {
		return ListDead(ctx, js, state.FirstSeq, limit)
	}
	enough, few := state.FirstSeq, state.LastSeq-most+1 // that many from here on, and perhaps fewer
	list, err := ListDead(ctx, js, few, limit)
	if err != nil || len(list) == limit {
		return list, err
	}
	for few-enough > 1 {
		middle := enough + (few-enough)/2
		if list, err = ListDead(ctx, js, middle, limit); err != nil {
			return nil, err
		}
		if len(list) == limit {
			enough = middle
		} else {
			few = middle
		}
	}
	return ListDead(ctx, js, enough, limit)
}
