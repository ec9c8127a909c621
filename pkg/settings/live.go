package settings

import (
	"sync/atomic"
	"time"
)

// State is the settings and how far raw rows are purged, at one moment.
type State struct {
	Values

	PurgedBefore time.Time // raw rows before it are deleted; the zero time before the first purge
}

// Live holds the present state for the parts of a process. Safe for concurrent
// use; a nil Live is empty.
type Live struct{ state atomic.Pointer[State] }

// NewLive returns a Live that holds values until it learns others.
func NewLive(v Values) *Live {
	l := &Live{}
	l.Store(State{Values: v})
	return l
}

// Store replaces the state.
func (l *Live) Store(s State) { l.state.Store(&s) }

// Load returns the state, the zero state of a nil Live.
func (l *Live) Load() State {
	if l == nil {
		return State{}
	}
	if s := l.state.Load(); s != nil {
		return *s
	}
	return State{}
}

// RawRetention returns the recorded raw retention, or otherwise when none is known.
func (l *Live) RawRetention(otherwise time.Duration) time.Duration {
	if d := l.Load().RawRetention; d != 0 {
		return d
	}
	return otherwise
}

// AggregateRetention returns the recorded aggregate retention, or otherwise when
// none is known.
func (l *Live) AggregateRetention(otherwise time.Duration) time.Duration {
	if d := l.Load().AggregateRetention; d != 0 {
		return d
	}
	return otherwise
}

// OldestAccepted returns the oldest timestamp an event may have at a moment: it
// must be within the raw retention, and not before the purge line, because what
// lies there is deleted and summarised already.
func (l *Live) OldestAccepted(now time.Time, otherwise time.Duration) time.Time {
	oldest := now.Add(-l.RawRetention(otherwise))
	if line := l.Load().PurgedBefore; line.After(oldest) {
		return line
	}
	return oldest
}
