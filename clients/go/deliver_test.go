//go:build go1.25

package lakepulse

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// scriptedSink answers by script and remembers what it was sent, and when.
type scriptedSink struct {
	mu     sync.Mutex
	calls  []sinkCall
	answer func(n int, b *Batch) (Result, error) // nil: accept all
}

type sinkCall struct {
	at      time.Time
	ids     []ID
	times   []time.Time
	seqs    []int64
	dropped int64
}

func (s *scriptedSink) Send(ctx context.Context, b *Batch, dropped int64) (Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := sinkCall{at: time.Now(), dropped: dropped}
	for i := range b.Performance {
		c.ids = append(c.ids, b.Performance[i].ID)
		c.times = append(c.times, b.Performance[i].Timestamp)
		c.seqs = append(c.seqs, *b.Performance[i].Seq)
	}
	s.calls = append(s.calls, c)
	if s.answer == nil {
		return Result{Accepted: b.Len()}, nil
	}
	res, err := s.answer(len(s.calls), b)
	if ctx.Err() != nil {
		return Result{}, ctx.Err()
	}
	return res, err
}

func (s *scriptedSink) seen() []sinkCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func accept(b *Batch) (Result, error) { return Result{Accepted: b.Len()}, nil }

// lanes runs body in a bubble of simulated time with a client whose sink is scripted.
func lanes(t *testing.T, sink *scriptedSink, change func(*Config), body func(lp *Client, requests func(n int))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{App: "shop", Sink: sink}
		if change != nil {
			change(&cfg)
		}
		lp, err := New(cfg)
		require.NoError(t, err)
		defer func() { _ = lp.Close(closedContext()) }() // what is left is of no interest
		h := lp.Middleware(status(200))
		body(lp, func(n int) {
			for range n {
				h.ServeHTTP(httptest.NewRecorder(), request("/x"))
			}
		})
		balanced(t, lp)
	})
}

func TestABatchGoesByTimeOrBySize(t *testing.T) {
	sink := &scriptedSink{}
	lanes(t, sink, func(c *Config) { c.BatchSize = 4 }, func(_ *Client, requests func(int)) {
		begin := time.Now()
		requests(3)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, sink.seen(), 1)
		require.Len(t, sink.seen()[0].ids, 3)
		require.Equal(t, time.Second, sink.seen()[0].at.Sub(begin))
		requests(5)
		synctest.Wait()
		require.Len(t, sink.seen(), 2, "a full batch does not wait")
		require.Len(t, sink.seen()[1].ids, 4)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, sink.seen(), 3)
	})
}

func TestARetryKeepsIDsAndTimestamps(t *testing.T) {
	sink := &scriptedSink{}
	sink.answer = func(n int, b *Batch) (Result, error) {
		if n <= 8 {
			return Result{ServerTime: time.Now().Add(time.Hour)}, errors.New("away")
		}
		return accept(b)
	}
	lanes(t, sink, nil, func(lp *Client, requests func(int)) {
		requests(3)
		time.Sleep(5 * time.Minute)
		calls := sink.seen()
		require.Len(t, calls, 9)
		for i, c := range calls[1:] {
			require.Equal(t, calls[0].ids, c.ids)
			require.Equal(t, calls[0].times, c.times)
			wait := c.at.Sub(calls[i].at)
			most := min(DefaultRetryMin<<i, DefaultRetryMax)
			require.LessOrEqual(t, wait, most)
			require.GreaterOrEqual(t, wait, most/2)
		}
		require.EqualValues(t, 3, lp.Stats().Performance.Accepted)
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	sink := &scriptedSink{}
	sink.answer = func(n int, b *Batch) (Result, error) {
		if n == 1 {
			return Result{}, &Failure{RetryAfter: 90 * time.Second, Err: errors.New("busy")}
		}
		return accept(b)
	}
	lanes(t, sink, nil, func(_ *Client, requests func(int)) {
		requests(1)
		time.Sleep(3 * time.Minute)
		calls := sink.seen()
		require.Len(t, calls, 2)
		require.Equal(t, 90*time.Second, calls[1].at.Sub(calls[0].at))
	})
}

func TestRefusedBatches(t *testing.T) {
	tests := map[string]struct {
		class    Class
		attempts int
	}{
		"invalid: once": {Invalid, 1},
		"denied: a few times, slowly, then the batch goes": {Denied, deniedAttempts},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			sink := &scriptedSink{}
			sink.answer = func(n int, b *Batch) (Result, error) {
				if n <= tt.attempts {
					return Result{}, &Failure{Class: tt.class, Err: errors.New("no")}
				}
				return accept(b)
			}
			lanes(t, sink, nil, func(lp *Client, requests func(int)) {
				requests(2)
				time.Sleep(time.Hour)
				require.Len(t, sink.seen(), tt.attempts)
				require.Equal(t, Account{Created: 2, Dropped: 2}, lp.Stats().Performance)
				requests(1)
				time.Sleep(time.Minute)
				last := sink.seen()[tt.attempts]
				require.EqualValues(t, 2, last.dropped, "the loss is reported")
				require.Equal(t, []int64{3}, last.seqs, "and seq has a gap")
			})
		})
	}
}

func TestTooLargeIsSentInHalves(t *testing.T) {
	sink := &scriptedSink{}
	sink.answer = func(_ int, b *Batch) (Result, error) {
		for i := range b.Performance {
			if *b.Performance[i].Seq == 5 { // too large by itself
				return Result{}, &Failure{Class: TooLarge, Err: errors.New("413")}
			}
		}
		return accept(b)
	}
	lanes(t, sink, nil, func(lp *Client, requests func(int)) {
		requests(10)
		time.Sleep(time.Minute)
		require.Equal(t, Account{Created: 10, Accepted: 9, Dropped: 1}, lp.Stats().Performance)
		once := map[ID]bool{}
		for _, c := range sink.seen() {
			if !slices.Contains(c.seqs, 5) {
				for _, id := range c.ids {
					require.False(t, once[id], "no event is sent again once it was accepted")
					once[id] = true
				}
			}
		}
		require.Len(t, once, 9)
	})
}

func TestRequestsGrowAgainAfterOneThatWasTooLarge(t *testing.T) {
	sink := &scriptedSink{}
	sink.answer = func(n int, b *Batch) (Result, error) {
		if n == 1 {
			return Result{}, &Failure{Class: TooLarge, Err: errors.New("413")}
		}
		return accept(b)
	}
	bySize := func(c *Config) { c.BatchSize, c.FlushInterval = 4, time.Hour }
	lanes(t, sink, bySize, func(_ *Client, requests func(int)) {
		for range 10 {
			requests(4)
			synctest.Wait()
		}
		var sizes []int
		for _, c := range sink.seen() {
			sizes = append(sizes, len(c.ids))
		}
		require.Equal(t, []int{4, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 4, 4}, sizes)
	})
}

func TestDropsAreReportedUntilABatchIsAccepted(t *testing.T) {
	sink := &scriptedSink{}
	sink.answer = func(n int, b *Batch) (Result, error) {
		switch n {
		case 1, 3:
			return Result{}, errors.New("away")
		case 4:
			return Result{Rejected: []Rejection{{Field: "timestamp", Reason: "old"}}}, nil // all of it
		}
		return accept(b)
	}
	lanes(t, sink, func(c *Config) { c.BufferSize = 8; c.BatchSize = 8 }, func(lp *Client, requests func(int)) {
		requests(8)
		synctest.Wait() // the first try has failed; the batch waits, the ring is empty
		requests(8 + 5)
		require.EqualValues(t, 5, lp.Stats().Performance.Dropped)
		time.Sleep(time.Minute)
		requests(1)
		time.Sleep(time.Minute)
		var reports []int64
		for _, c := range sink.seen() {
			reports = append(reports, c.dropped)
		}
		require.Equal(t, []int64{0, 5, 0, 0, 0}, reports)
		require.Equal(t, []int64{9, 10, 11, 12, 13, 14, 15, 16}, sink.seen()[2].seqs)
		require.Equal(t, []int64{22}, sink.seen()[4].seqs, "17 to 21 found no room")
		require.Equal(t, Account{Created: 22, Accepted: 9, Rejected: 8, Dropped: 5}, lp.Stats().Performance)
	})
}

func TestASinkThatPanicsIsAFailure(t *testing.T) {
	sink := &scriptedSink{}
	sink.answer = func(n int, b *Batch) (Result, error) {
		if n == 1 {
			panic("sink")
		}
		return accept(b)
	}
	lanes(t, sink, nil, func(lp *Client, requests func(int)) {
		requests(1)
		time.Sleep(time.Minute)
		require.EqualValues(t, 1, lp.Stats().Performance.Accepted)
	})
}

func TestClose(t *testing.T) {
	away := func(int, *Batch) (Result, error) { return Result{}, errors.New("away") }
	t.Run("flushes everything", func(t *testing.T) {
		sink := &scriptedSink{}
		lanes(t, sink, nil, func(lp *Client, requests func(int)) {
			requests(1700)
			require.NoError(t, lp.Track(nil, UsageEvent{EventType: "done", UserID: "ann"}))
			require.NoError(t, lp.Close(context.Background()))
			require.Equal(t, Account{Created: 1700, Accepted: 1700}, lp.Stats().Performance)
			require.Equal(t, Account{Created: 1, Accepted: 1}, lp.Stats().Usage)
		})
	})
	t.Run("what comes later is dropped and counted", func(t *testing.T) {
		lanes(t, &scriptedSink{}, nil, func(lp *Client, requests func(int)) {
			require.NoError(t, lp.Close(context.Background()))
			requests(3)
			require.Equal(t, Account{Created: 3, Dropped: 3}, lp.Stats().Performance)
			require.NoError(t, lp.Close(context.Background()), "twice is once")
		})
	})
	t.Run("gives up soon when the collector is away", func(t *testing.T) {
		sink := &scriptedSink{answer: away}
		lanes(t, sink, nil, func(lp *Client, requests func(int)) {
			requests(2000)
			begin := time.Now()
			require.ErrorContains(t, lp.Close(context.Background()), "2000 events")
			require.Less(t, time.Since(begin), 5*time.Second)
			require.Equal(t, closingAttempts, len(sink.seen()))
			require.Equal(t, Account{Created: 2000, Dropped: 2000}, lp.Stats().Performance)
		})
	})
	t.Run("cuts a long pause short", func(t *testing.T) {
		sink := &scriptedSink{}
		sink.answer = func(n int, b *Batch) (Result, error) {
			if n == 1 {
				return Result{}, &Failure{RetryAfter: time.Hour, Err: errors.New("busy")}
			}
			return accept(b)
		}
		lanes(t, sink, nil, func(lp *Client, requests func(int)) {
			requests(1)
			time.Sleep(2 * time.Second)
			begin := time.Now()
			require.NoError(t, lp.Close(context.Background()))
			require.Zero(t, time.Since(begin))
		})
	})
	t.Run("ends with its context", func(t *testing.T) {
		sink := &scriptedSink{answer: away}
		lanes(t, sink, func(c *Config) { c.RetryMin = time.Hour }, func(lp *Client, requests func(int)) {
			requests(1)
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			begin := time.Now()
			require.ErrorContains(t, lp.Close(ctx), "1 events")
			require.Equal(t, time.Second, time.Since(begin))
		})
	})
}

func TestTroubleIsLoggedOncePerMinuteWithoutTheKey(t *testing.T) {
	var log bytes.Buffer
	sink := &scriptedSink{answer: func(int, *Batch) (Result, error) {
		return Result{Rejected: []Rejection{{Field: "timestamp", Reason: "must not be in the future"}}}, nil
	}}
	lanes(t, sink, func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		c.Key = "lp_secret"
	}, func(_ *Client, requests func(int)) {
		for range 90 {
			requests(1)
			time.Sleep(time.Second)
		}
		synctest.Wait()
	})
	require.Equal(t, 2, strings.Count(log.String(), "must not be in the future"), log.String())
	require.Contains(t, log.String(), "suppressed=")
	require.NotContains(t, log.String(), "lp_secret")
}
