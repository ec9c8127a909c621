package lakepulse

import "sync/atomic"

// ring is a bounded queue of many producers and one consumer that never blocks
// a producer: each slot carries a turn number that says whether it is free for
// the producer of that position or filled for the consumer.
//
// Closing is a bit in the producers' position, so a claim either happened
// before the close, and the consumer will find it, or fails. That is what makes the
// accounts of Close exact.
type ring[T any] struct {
	slots []slot[T]
	mask  uint64
	_     [64]byte // producers and consumer write apart: keep their cache lines apart
	tail  atomic.Uint64
	_     [64]byte
	head  atomic.Uint64 // written by the consumer only
}

type slot[T any] struct {
	turn  atomic.Uint64 // = position: free; = position+1: filled
	value T
}

const ringClosed = 1 << 63

// newRing returns a ring of at least size slots, the next power of two.
func newRing[T any](size int) *ring[T] {
	n := uint64(2)
	for n < uint64(size) {
		n <<= 1
	}
	r := &ring[T]{slots: make([]slot[T], n), mask: n - 1}
	for i := range r.slots {
		r.slots[i].turn.Store(uint64(i))
	}
	return r
}

// claim takes a slot for the caller, who fills it and commits at once: the consumer
// waits behind it. It returns the position, and nil when the ring is full or
// closed.
func (r *ring[T]) claim() (uint64, *T) {
	pos := r.tail.Load()
	for {
		if pos&ringClosed != 0 {
			return 0, nil
		}
		s := &r.slots[pos&r.mask]
		switch turn := s.turn.Load(); {
		case turn == pos:
			if r.tail.CompareAndSwap(pos, pos+1) {
				return pos, &s.value
			}
		case turn < pos: // still holds what was put in one round ago
			return 0, nil
		}
		pos = r.tail.Load()
	}
}

// commit hands a claimed slot to the consumer.
func (r *ring[T]) commit(pos uint64) { r.slots[pos&r.mask].turn.Store(pos + 1) }

// full reports whether a claim would fail now.
func (r *ring[T]) full() bool {
	pos := r.tail.Load()
	return pos&ringClosed != 0 || r.slots[pos&r.mask].turn.Load() < pos
}

// pop moves up to len(dst) values into dst and returns how many. It stops early
// at a slot whose producer has not finished. One goroutine at a time.
func (r *ring[T]) pop(dst []T) int {
	var none T
	head := r.head.Load()
	n := 0
	for ; n < len(dst); n++ {
		s := &r.slots[head&r.mask]
		if s.turn.Load() != head+1 {
			break
		}
		dst[n] = s.value
		s.value = none // its strings must not live until the next round
		s.turn.Store(head + uint64(len(r.slots)))
		head++
	}
	r.head.Store(head)
	return n
}

// len returns how many values wait, those still being written included.
func (r *ring[T]) len() int {
	head := r.head.Load() // first: it never passes tail
	return int(r.pushed() - head)
}

// pushed returns how many values were ever claimed.
func (r *ring[T]) pushed() uint64 { return r.tail.Load() &^ ringClosed }

// close makes every later claim fail.
func (r *ring[T]) close() { r.tail.Or(ringClosed) }
