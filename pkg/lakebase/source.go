package lakebase

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/lakepulse/lakepulse/pkg/retry"
)

// mintBackoff is the schedule of attempts to get a token; Config.Timeout ends them.
var mintBackoff = retry.Backoff{First: 250 * time.Millisecond, Max: 4 * time.Second}

// Credentials gives the password of a new connection. Safe for concurrent use.
type Credentials interface {
	Token(ctx context.Context) (string, error)
}

// Params are what a Source is made of.
type Params struct {
	Config    Config
	Logger    *slog.Logger
	Clock     func() time.Time
	Transport http.RoundTripper // nil: the SDK's own
}

// Source is Credentials from a Databricks workspace, cached.
type Source struct {
	cfg    Config
	mint   func(context.Context) (token, error)
	logger *slog.Logger
	clock  func() time.Time

	calls singleflight.Group

	mu      sync.Mutex
	current token
	renewAt time.Time // from here on the current token is to be replaced
}

// New returns a Source. It calls nobody yet.
func New(p Params) (*Source, error) {
	if err := p.Config.Validate(); err != nil {
		return nil, err
	}
	m := &minter{cfg: p.Config, transport: p.Transport}
	return &Source{cfg: p.Config, mint: m.mint, logger: p.Logger.With("component", "lakebase"), clock: p.Clock}, nil
}

// Token implements Credentials. It waits only when there is no token that is
// still good; ctx bounds the waiting, not the refresh.
func (s *Source) Token(ctx context.Context) (string, error) {
	text, renew := s.cached()
	if !renew {
		return text, nil
	}
	// Whoever has a token that is still good does not wait for its successor, and a
	// refresh goes on for the others when the one who began it gives up.
	refreshed := s.calls.DoChan("token", func() (any, error) { return s.refresh(context.WithoutCancel(ctx)) })
	if text != "" {
		return text, nil
	}
	select {
	case result := <-refreshed:
		if result.Err != nil {
			return "", result.Err
		}
		return result.Val.(string), nil
	case <-ctx.Done():
		return "", fmt.Errorf("waiting for a database token: %w", ctx.Err())
	}
}

// cached returns the token if it is still good, and whether to renew it.
func (s *Source) cached() (text string, renew bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	if now.Before(s.current.expiry) {
		text = s.current.text
	}
	return text, text == "" || !now.Before(s.renewAt)
}

// Forget drops the token if it is still the current one: Postgres refused it.
func (s *Source) Forget(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.text == text {
		s.current = token{}
	}
}

func (s *Source) refresh(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	var fresh token
	err := mintBackoff.Do(ctx, worthRetrying, func(int) (err error) {
		fresh, err = s.mint(ctx)
		return err
	})
	if err != nil {
		s.logger.Warn("no new database token", "error", err)
		return "", fmt.Errorf("database token: %w", err)
	}
	return s.keep(fresh), nil
}

func (s *Source) keep(t token) string {
	now := s.clock()
	if t.expiry.IsZero() {
		t.expiry = now.Add(unsaidLife)
	}
	// A token that lives shorter than the margin is not renewed at every connection.
	margin := min(s.cfg.RefreshBefore, t.expiry.Sub(now)/4)
	s.mu.Lock()
	s.current, s.renewAt = t, t.expiry.Add(-margin)
	s.mu.Unlock()
	s.logger.Debug("new database token", "expires", t.expiry)
	return t.text
}
