// Package retry is the one place for repeated attempts: how long to wait between
// them, and the wait itself.
//
// Invariants:
//
//   - Delays are jittered. Processes that failed together do not come back together.
//   - A wait ends with its context.
//   - Nothing is retried in silence for ever: the caller bounds the attempts, the
//     time (context), or stops with its process.
package retry

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is a schedule of delays: First, doubled after every attempt, at most Max.
type Backoff struct {
	First, Max time.Duration
}

// maxDoublings keeps the shift below from overflowing; Max is reached long before.
const maxDoublings = 20

// Delay returns the time to wait after the given attempt, counted from 0: between
// half of the scheduled delay and all of it, at random.
func (b Backoff) Delay(attempt int) time.Duration {
	d := min(b.Max, b.First<<min(max(attempt, 0), maxDoublings))
	return d/2 + rand.N(d/2+1)
}

// Wait sleeps for Delay(attempt). It returns the context's error if that ends first.
func (b Backoff) Wait(ctx context.Context, attempt int) error {
	return Sleep(ctx, b.Delay(attempt))
}

// Do calls f until it succeeds, again reports false for its error, or ctx ends. It
// returns f's last error; a context that ends during a wait does not replace it.
// Each call gets its attempt, counted from 0.
func (b Backoff) Do(ctx context.Context, again func(error) bool, f func(attempt int) error) error {
	for attempt := 0; ; attempt++ {
		err := f(attempt)
		if err == nil || !again(err) || b.Wait(ctx, attempt) != nil {
			return err
		}
	}
}

// Sleep waits for d. It returns the context's error if that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
