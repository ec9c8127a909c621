package auth

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"
)

// digest is the SHA-256 of a token: what the cache knows a token by.
type digest = [sha256.Size]byte

// cache remembers verified callers, the most recently used ones when it is full.
type cache struct {
	size int

	mu      sync.Mutex
	entries map[digest]*list.Element
	recent  *list.List // of *cached, the most recently used first
}

type cached struct {
	digest digest
	caller Caller
	until  time.Time
}

func newCache(size int) *cache {
	return &cache{size: size, entries: make(map[digest]*list.Element), recent: list.New()}
}

func (c *cache) get(d digest, now time.Time) (Caller, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.entries[d]
	if !ok {
		return Caller{}, false
	}
	entry := element.Value.(*cached)
	if !now.Before(entry.until) {
		c.remove(element)
		return Caller{}, false
	}
	c.recent.MoveToFront(element)
	return entry.caller, true
}

func (c *cache) put(d digest, caller Caller, until, now time.Time) {
	if !now.Before(until) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.entries[d]; ok {
		c.remove(old)
	}
	c.entries[d] = c.recent.PushFront(&cached{digest: d, caller: caller, until: until})
	if c.recent.Len() > c.size {
		c.remove(c.recent.Back())
	}
}

func (c *cache) remove(element *list.Element) {
	entry := c.recent.Remove(element).(*cached)
	delete(c.entries, entry.digest)
}

func (c *cache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recent.Len()
}
