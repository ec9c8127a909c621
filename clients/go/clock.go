package lakepulse

import (
	"slices"
	"sync"
	"time"
)

// offset is how far the local clock is behind ingest's, learned from the
// server_time of its answers. Only records that have no timestamp yet get it.
type offset struct {
	mu      sync.Mutex
	samples []time.Duration
	at      int
	shift   time.Duration
}

const (
	offsetSamples = 5
	// Less than this is not worth a correction: an answer's way takes time too, and
	// clocks that agree must not jitter.
	offsetMin = 2 * time.Second
)

// learn takes one answer: the local times around it and the server's. The
// median of the last few keeps one odd answer from moving the clock.
func (o *offset) learn(sent, received, server time.Time) {
	trip := received.Sub(sent)
	if server.IsZero() || trip < 0 || trip > offsetMin {
		return // the answer says too little about its own moment
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	sample := server.Sub(sent.Add(trip / 2))
	if len(o.samples) < offsetSamples {
		o.samples = append(o.samples, sample)
	} else {
		o.samples[o.at] = sample
		o.at = (o.at + 1) % offsetSamples
	}
	sorted := slices.Sorted(slices.Values(o.samples))
	o.shift = 0
	if median := sorted[len(sorted)/2]; median.Abs() > offsetMin {
		o.shift = median
	}
}

func (o *offset) now() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.shift
}
