package lakepulse

import (
	"log/slog"
	"sync"
	"time"
)

// notices logs each kind of trouble at most once a minute: an outage has one
// cause and would otherwise fill the app's log.
type notices struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	last map[string]*notice
}

type notice struct {
	at         time.Time
	suppressed int
}

const (
	noticeEvery = time.Minute
	noticeKinds = 32 // keys can come from ingest's answers
)

func newNotices(log *slog.Logger, now func() time.Time) *notices {
	return &notices{log: log, now: now, last: make(map[string]*notice)}
}

// say logs a warning unless one of the same key was logged within a minute.
func (n *notices) say(key, msg string, args ...any) {
	n.mu.Lock()
	now := n.now()
	last, known := n.last[key]
	if !known {
		if len(n.last) >= noticeKinds {
			clear(n.last)
		}
		last = &notice{}
		n.last[key] = last
	}
	if known && now.Sub(last.at) < noticeEvery {
		last.suppressed++
		n.mu.Unlock()
		return
	}
	suppressed := last.suppressed
	last.at, last.suppressed = now, 0
	n.mu.Unlock()
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	n.log.Warn("lakepulse: "+msg, args...)
}
