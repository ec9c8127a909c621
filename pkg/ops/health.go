package ops

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Check says whether a part can do its work, nil when it can.
type Check func(ctx context.Context) error

const checkTimeout = 2 * time.Second

// Health knows the parts of this process.
type Health struct {
	Version  string
	mu       sync.Mutex
	names    []string
	checks   map[string]Check
	stopping atomic.Bool
}

// NewHealth returns a Health without parts.
func NewHealth(version string) *Health {
	return &Health{Version: version, checks: map[string]Check{}}
}

// Add makes readiness depend on a part.
func (h *Health) Add(name string, c Check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.checks[name]; !known {
		h.names = append(h.names, name)
	}
	h.checks[name] = c
}

// Stopping makes readiness false for good.
func (h *Health) Stopping() { h.stopping.Store(true) }

// Readiness is the answer of /ready.
type Readiness struct {
	Status string            `json:"status"` // ready, not_ready, stopping
	Parts  map[string]string `json:"parts"`  // "ok", or why not
}

// Ready asks every part, all at once.
func (h *Health) Ready(ctx context.Context) Readiness {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	h.mu.Lock()
	names, results := append([]string(nil), h.names...), make([]error, len(h.names))
	var wg sync.WaitGroup
	for i, name := range names {
		check := h.checks[name]
		wg.Go(func() { results[i] = check(ctx) })
	}
	h.mu.Unlock()
	wg.Wait()
	r := Readiness{Status: "ready", Parts: make(map[string]string, len(names))}
	for i, name := range names {
		if results[i] == nil {
			r.Parts[name] = "ok"
			continue
		}
		r.Status, r.Parts[name] = "not_ready", results[i].Error()
	}
	if h.stopping.Load() {
		r.Status = "stopping"
	}
	return r
}

// ServeHealth answers /health.
func (h *Health) ServeHealth(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, map[string]string{"status": "ok", "version": h.Version})
}

// ServeReady answers /ready: 200 when ready, 503 when not.
func (h *Health) ServeReady(w http.ResponseWriter, r *http.Request) {
	answer := h.Ready(r.Context())
	status := http.StatusOK
	if answer.Status != "ready" {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "2")
	}
	respond(w, status, answer)
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A prober that is gone cannot be told.
	_ = json.NewEncoder(w).Encode(body)
}
