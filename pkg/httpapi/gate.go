package httpapi

import (
	"context"
	"sync"
	"time"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/fault"
)

// Gate bounds what is worked on at once, in all and for each caller: no caller
// holds more than a quarter of the slots, so that one cannot keep the others out.
type Gate struct {
	slots   chan struct{}
	quarter int

	mu      sync.Mutex
	callers map[string]*share // of callers who hold or wait for a slot
}

// share is one caller's part of the slots.
type share struct {
	slots chan struct{}
	users int // requests that hold or wait for one
}

// NewGate returns a gate of n slots, nil for n below 1. A nil gate lets
// everything through.
func NewGate(n int) *Gate {
	if n < 1 {
		return nil
	}
	return &Gate{slots: make(chan struct{}, n), quarter: max(1, n/4), callers: map[string]*share{}}
}

// patience is how long a request waits for a slot before it is told to come back.
const patience = time.Second

// Enter takes a slot for the caller and returns how to give it back. It waits a
// moment for one, then fails with fault.Unavailable.
func (g *Gate) Enter(ctx context.Context, caller auth.Caller) (leave func(), err error) {
	if g == nil {
		return func() {}, nil
	}
	key := string(caller.Kind) + "\x00" + caller.App + "\x00" + caller.UserID
	own := g.join(key)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := take(ctx, own.slots); err != nil {
		g.part(key, own)
		return nil, err
	}
	if err := take(ctx, g.slots); err != nil {
		<-own.slots
		g.part(key, own)
		return nil, err
	}
	return func() {
		<-g.slots
		<-own.slots
		g.part(key, own)
	}, nil
}

func take(ctx context.Context, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fault.Wrap(ctx.Err(), fault.Unavailable, "Too many requests at once").After(time.Second)
	}
}

func (g *Gate) join(key string) *share {
	g.mu.Lock()
	defer g.mu.Unlock()
	own := g.callers[key]
	if own == nil {
		own = &share{slots: make(chan struct{}, g.quarter)}
		g.callers[key] = own
	}
	own.users++
	return own
}

func (g *Gate) part(key string, own *share) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(g.callers, key)
	}
}

// large is a request's way to the gate for requests that take much memory.
type large struct {
	gate   *Gate
	caller auth.Caller
	leave  func() // nil: not entered
}

type largeKey struct{}

// EnterLarge is called by a Decode whose request turns out to take much memory:
// it takes a slot of the endpoint's Large gate, once, until the request is
// answered. Without such a gate it does nothing.
func EnterLarge(ctx context.Context) error {
	l, _ := ctx.Value(largeKey{}).(*large)
	if l == nil || l.leave != nil {
		return nil
	}
	leave, err := l.gate.Enter(ctx, l.caller)
	if err == nil {
		l.leave = leave
	}
	return err
}

func (l *large) done() {
	if l.leave != nil {
		l.leave()
	}
}
