package lakepulse

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	deniedAttempts  = 10 // then the batch goes: a key that works again saves the next ones
	closingAttempts = 3
	growAfter       = 16
	maxRetryAfter   = 5 * time.Minute
)

// deliver settles the lane's batch: every event of it is accepted, rejected or
// counted as dropped when it returns.
func (l *lane[T]) deliver(ctx context.Context) {
	for from, total := 0, l.batch.Len(); from < total; {
		part := l.part(from, min(from+l.limit, total))
		switch n := part.Len(); l.settle(ctx, &part) {
		case outcomeSettled:
			from += n
			l.fits()
		case outcomeTooLarge:
			if n > 1 {
				l.limit, l.fitted = (n+1)/2, 0
				continue
			}
			l.drop(n, "one event alone is too large for ingest")
			from += n
		case outcomeDropped:
			l.drop(n, "a batch was given up")
			from += n
		}
	}
}

// fits lets requests grow again, slowly: one large event must not leave the lane
// sending single ones, and a gateway's bound must not be met every other time.
func (l *lane[T]) fits() {
	if l.limit >= l.cfg.BatchSize {
		return
	}
	if l.fitted++; l.fitted >= growAfter {
		l.limit, l.fitted = min(l.limit*2, l.cfg.BatchSize), 0
	}
}

// part returns a view of the lane's batch.
func (l *lane[T]) part(from, to int) Batch {
	b := l.batch
	if b.Kind == KindUsage {
		b.Usage = b.Usage[from:to]
	} else {
		b.Performance = b.Performance[from:to]
	}
	return b
}

type outcome int

const (
	outcomeSettled outcome = iota
	outcomeTooLarge
	outcomeDropped
)

// settle tries one request until it is answered for good.
func (l *lane[T]) settle(ctx context.Context, b *Batch) outcome {
	for try := 1; ; try++ {
		if ctx.Err() != nil {
			return outcomeDropped
		}
		dropped := l.dropped() - l.reported
		sent := l.cfg.Clock()
		res, err := l.send(ctx, b, dropped)
		if err == nil {
			l.succeed(b, res, dropped)
			l.clock.learn(sent, l.cfg.Clock(), res.ServerTime)
			return outcomeSettled
		}
		f := classify(err)
		switch {
		case f.Class == TooLarge:
			return outcomeTooLarge
		case f.Class == Invalid, f.Class == Denied && try >= deniedAttempts:
			l.complain(err)
			return outcomeDropped
		}
		l.complain(err)
		l.failing = true
		if l.isClosing() && try >= closingAttempts {
			return outcomeDropped
		}
		l.pause(ctx, max(l.backoff(try), min(f.RetryAfter, maxRetryAfter)))
	}
}

// send guards against a Sink that panics: ours is a goroutine nobody else recovers.
func (l *lane[T]) send(ctx context.Context, b *Batch, dropped int64) (res Result, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("lakepulse: the sink panicked: %v", v)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, l.cfg.RequestTimeout)
	defer cancel()
	return l.sink.Send(ctx, b, dropped)
}

func (l *lane[T]) succeed(b *Batch, res Result, dropped int64) {
	accepted := min(max(res.Accepted, 0), b.Len())
	l.accepted.Add(int64(accepted))
	l.rejected.Add(int64(b.Len() - accepted))
	if accepted > 0 { // a batch refused as a whole carries nothing into ingest's counters
		l.reported += dropped
	}
	for _, r := range res.Rejected {
		l.notices.say("rejected "+r.Field, "ingest refused events", "kind", b.Kind,
			"field", r.Field, "reason", r.Reason, "refused", b.Len()-accepted)
	}
	if l.failing {
		l.failing = false
		l.cfg.Logger.Info("lakepulse: the collector answers again", "kind", b.Kind, "dropped", l.dropped())
	}
}

func (l *lane[T]) drop(n int, why string) {
	l.lost.Add(int64(n))
	l.notices.say("drop "+string(l.kind), why, "kind", l.kind, "events", n)
}

func (l *lane[T]) complain(err error) {
	l.notices.say("send "+string(l.kind), "the collector did not take a batch", "kind", l.kind, "error", err)
}

// backoff doubles from RetryMin to RetryMax, and takes between half and all of
// it: clients that failed together must not come back together.
func (l *lane[T]) backoff(try int) time.Duration {
	d := l.cfg.RetryMax
	if shift := try - 1; shift < 30 && l.cfg.RetryMin<<shift < d {
		d = l.cfg.RetryMin << shift
	}
	if half := d / 2; half > 0 {
		d = half + rand.N(half) //nolint:gosec // jitter is no secret
	}
	return d
}

// pause waits; the lane's closing cuts it short once, and after that only the
// usual backoff is waited, whatever ingest asked for.
func (l *lane[T]) pause(ctx context.Context, d time.Duration) {
	closing := l.closing
	if l.isClosing() {
		closing = nil
		d = min(d, l.cfg.RetryMax)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-closing:
	case <-ctx.Done():
	}
}
