package lakepulse

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// lane takes the records of one kind from many goroutines to the sink, in one
// goroutine: batch after batch, and not the next before the last is settled. So
// memory is the ring and one batch, however long the collector is away.
type lane[T any] struct {
	laneParams
	ring     *ring[T]
	wakeMask uint64
	wake     chan struct{}
	closing  chan struct{}
	closer   sync.Once

	// of the goroutine
	skip     func(overflow int64)
	fill     func(items []T, b *Batch) (withheld, broken int)
	items    []T
	batch    Batch
	limit    int   // events a request may carry; halves when ingest says too large
	fitted   int   // requests accepted since
	reported int64 // drops that ingest has been told of
	failing  bool

	overflow atomic.Int64 // drops for want of room
	lost     atomic.Int64 // drops of the goroutine's
	accepted atomic.Int64
	rejected atomic.Int64
	withheld atomic.Int64
}

type laneParams struct {
	cfg     *Config
	kind    Kind
	buffer  int // records that wait at most
	sink    Sink
	clock   *offset
	notices *notices
}

func newLane[T any](
	p laneParams, skip func(int64), fill func([]T, *Batch) (int, int),
) *lane[T] {
	wake := uint64(1)
	for wake*2 <= uint64(p.cfg.BatchSize) {
		wake *= 2
	}
	return &lane[T]{
		laneParams: p,
		ring:       newRing[T](p.buffer),
		wakeMask:   wake - 1,
		wake:       make(chan struct{}, 1),
		closing:    make(chan struct{}),
		skip:       skip,
		fill:       fill,
		items:      make([]T, p.cfg.BatchSize),
		batch:      Batch{App: p.cfg.App, Kind: p.kind},
		limit:      p.cfg.BatchSize,
	}
}

// full reports whether there is no room, and then counts one record as dropped.
// It spares making records that have nowhere to go.
func (l *lane[T]) full() bool {
	if !l.ring.full() {
		return false
	}
	l.overflow.Add(1)
	return true
}

// claim returns the place for one record, which must be filled and committed
// without delay; nil, and a drop counted, when there is no room. It never blocks.
func (l *lane[T]) claim() (uint64, *T) {
	pos, place := l.ring.claim()
	if place == nil {
		l.overflow.Add(1)
	}
	return pos, place
}

func (l *lane[T]) commit(pos uint64) {
	l.ring.commit(pos)
	if (pos+1)&l.wakeMask == 0 { // seldom, so that the channel is seldom touched
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// run sends until the lane is closed and empty, or ctx is done.
func (l *lane[T]) run(ctx context.Context) {
	tick := time.NewTicker(l.cfg.FlushInterval)
	defer tick.Stop()
	for {
		select {
		case <-l.wake:
			for !l.isClosing() && l.ring.len() >= l.cfg.BatchSize && l.sendNext(ctx) > 0 {
				continue
			}
		case <-tick.C:
			for !l.isClosing() && l.sendNext(ctx) == l.cfg.BatchSize {
				continue
			}
		case <-l.closing:
			l.drain(ctx)
			return
		}
	}
}

// drain sends what is left. Claims fail since the ring was closed, so the end is
// certain: a producer that was just writing will commit.
func (l *lane[T]) drain(ctx context.Context) {
	for l.ring.len() > 0 {
		if ctx.Err() != nil || l.failing {
			if n := l.ring.pop(l.items); n > 0 {
				l.lost.Add(int64(n))
				continue
			}
		} else if l.sendNext(ctx) > 0 {
			continue
		}
		time.Sleep(time.Microsecond) // the producer needs the processor
	}
	clear(l.items)
}

// sendNext takes up to one batch off the ring, settles it, and returns how many
// records it took.
func (l *lane[T]) sendNext(ctx context.Context) int {
	overflow := l.overflow.Load()
	n := l.ring.pop(l.items)
	if n == 0 {
		return 0
	}
	l.batch.Performance, l.batch.Usage = l.batch.Performance[:0], l.batch.Usage[:0]
	withheld, broken := l.fill(l.items[:n], &l.batch)
	l.withheld.Add(int64(withheld))
	l.lost.Add(int64(broken))
	if l.skip != nil {
		l.skip(overflow) // what found no room came after what was in the ring
	}
	l.deliver(ctx)
	// Strings of requests must not live until the next batch.
	clear(l.items[:n])
	clear(l.batch.Performance)
	clear(l.batch.Usage)
	return n
}

func (l *lane[T]) close() {
	l.closer.Do(func() {
		l.ring.close()
		close(l.closing)
	})
}

func (l *lane[T]) isClosing() bool {
	select {
	case <-l.closing:
		return true
	default:
		return false
	}
}

// dropped returns all losses so far.
func (l *lane[T]) dropped() int64 { return l.overflow.Load() + l.lost.Load() }

// account returns the lane's balance. Outcomes are read before the creations, so
// Buffered is never negative.
func (l *lane[T]) account() Account {
	a := Account{
		Accepted: l.accepted.Load(),
		Rejected: l.rejected.Load(),
		Withheld: l.withheld.Load(),
	}
	lost, overflow := l.lost.Load(), l.overflow.Load()
	a.Dropped = lost + overflow
	a.Created = int64(l.ring.pushed()) + overflow
	a.Buffered = a.Created - a.Accepted - a.Rejected - a.Dropped - a.Withheld
	return a
}
