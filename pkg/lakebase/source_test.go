package lakebase

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/databricks/databricks-sdk-go/apierr"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/pkg/testkit/workspacetest"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// fakeMint hands out tokens of an hour, named by their number.
type fakeMint struct {
	clock *testkit.Clock
	calls atomic.Int64
	fail  atomic.Pointer[error]
	hold  chan struct{} // when set, every call waits for it
	begun chan struct{} // when set, every call says it has begun
}

func (f *fakeMint) mint(ctx context.Context) (token, error) {
	n := f.calls.Add(1)
	if f.begun != nil {
		f.begun <- struct{}{}
	}
	if f.hold != nil {
		<-f.hold
	}
	if err := f.fail.Load(); err != nil {
		return token{}, *err
	}
	return token{text: "token-" + string(rune('0'+n)), expiry: f.clock.Now().Add(time.Hour)}, ctx.Err()
}

func (f *fakeMint) failWith(err error) {
	if err == nil {
		f.fail.Store(nil)
		return
	}
	f.fail.Store(&err)
}

func setupSource(t *testing.T) (*Source, *fakeMint) {
	t.Helper()
	mint := &fakeMint{clock: testkit.NewClock(noon)}
	cfg := DefaultConfig()
	cfg.Timeout = 100 * time.Millisecond
	s, err := New(Params{Config: cfg, Logger: testkit.Logger(t), Clock: mint.clock.Now})
	require.NoError(t, err)
	s.mint = mint.mint
	return s, mint
}

func tokenOf(t *testing.T, s *Source) string {
	t.Helper()
	text, err := s.Token(t.Context())
	require.NoError(t, err)
	return text
}

func TestSource(t *testing.T) {
	t.Parallel()

	t.Run("one token serves until five minutes before its end", func(t *testing.T) {
		t.Parallel()
		s, mint := setupSource(t)
		require.Equal(t, "token-1", tokenOf(t, s))
		mint.clock.Advance(55*time.Minute - time.Nanosecond)
		require.Equal(t, "token-1", tokenOf(t, s))
		require.EqualValues(t, 1, mint.calls.Load())
	})

	t.Run("then it is renewed beside, without anybody waiting", func(t *testing.T) {
		t.Parallel()
		s, mint := setupSource(t)
		tokenOf(t, s)
		mint.hold = make(chan struct{})
		mint.clock.Advance(55 * time.Minute)
		for range 3 {
			require.Equal(t, "token-1", tokenOf(t, s), "the old one is good for five minutes more")
		}
		close(mint.hold)
		testkit.EventuallyEqual(t, "token-2", func() string { return tokenOf(t, s) })
		require.EqualValues(t, 2, mint.calls.Load())
	})

	t.Run("a workspace away during the margin is not noticed", func(t *testing.T) {
		t.Parallel()
		s, mint := setupSource(t)
		tokenOf(t, s)
		mint.failWith(errors.New("workspace away"))
		mint.clock.Advance(59 * time.Minute)
		require.Equal(t, "token-1", tokenOf(t, s))
		mint.failWith(nil)
		testkit.Eventually(t, "a new token", func() bool { return tokenOf(t, s) != "token-1" })
	})

	t.Run("an expired token is never handed out", func(t *testing.T) {
		t.Parallel()
		s, mint := setupSource(t)
		tokenOf(t, s)
		mint.clock.Advance(time.Hour)
		require.Equal(t, "token-2", tokenOf(t, s))
		mint.clock.Advance(time.Hour)
		mint.failWith(errors.New("workspace away"))
		_, err := s.Token(t.Context())
		require.ErrorContains(t, err, "workspace away")
	})

	t.Run("many who wait cause one call, and one who gives up fails nobody", func(t *testing.T) {
		t.Parallel()
		s, mint := setupSource(t)
		mint.hold, mint.begun = make(chan struct{}), make(chan struct{}, 1)
		first, leave := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := s.Token(first)
			gone <- err
		}()
		testkit.Receive(t, "the call", mint.begun)
		results := make(chan error, 8)
		var waiting sync.WaitGroup
		for range cap(results) {
			waiting.Go(func() {
				_, err := s.Token(t.Context())
				results <- err
			})
		}
		leave()
		require.ErrorIs(t, testkit.Receive(t, "the one who gave up", gone), context.Canceled)
		close(mint.hold)
		waiting.Wait()
		for range cap(results) {
			require.NoError(t, <-results)
		}
		require.EqualValues(t, 1, mint.calls.Load())
	})

	t.Run("a passing failure is retried, a refusal is not", func(t *testing.T) {
		t.Parallel()
		s, mint := setupSource(t)
		s.cfg.Timeout = 30 * time.Second
		passing := true
		s.mint = func(ctx context.Context) (token, error) {
			if passing {
				passing = false
				return token{}, errors.New("bad gateway")
			}
			return mint.mint(ctx)
		}
		require.Equal(t, "token-1", tokenOf(t, s))
		mint.clock.Advance(time.Hour)
		mint.failWith(apierr.ErrPermissionDenied)
		_, err := s.Token(t.Context())
		require.ErrorIs(t, err, apierr.ErrPermissionDenied)
		require.EqualValues(t, 2, mint.calls.Load())
	})

	t.Run("a refused token is forgotten, but not its successor", func(t *testing.T) {
		t.Parallel()
		s, _ := setupSource(t)
		tokenOf(t, s)
		s.Forget("token-1")
		require.Equal(t, "token-2", tokenOf(t, s))
		s.Forget("token-1")
		require.Equal(t, "token-2", tokenOf(t, s))
	})

	t.Run("a token that states no end is believed for minutes", func(t *testing.T) {
		t.Parallel()
		s, mint := setupSource(t)
		s.mint = func(ctx context.Context) (token, error) {
			got, err := mint.mint(ctx)
			return token{text: got.text}, err
		}
		tokenOf(t, s)
		mint.clock.Advance(unsaidLife)
		require.Equal(t, "token-2", tokenOf(t, s))
	})
}

func TestMint(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T, change func(*Config)) (*Source, *workspacetest.Workspace) {
		t.Helper()
		ws := workspacetest.Start(t, time.Hour)
		cfg := DefaultConfig()
		cfg.Host, cfg.ClientID, cfg.ClientSecret = ws.URL(), workspacetest.ClientID, workspacetest.ClientSecret
		cfg.Timeout = 5 * time.Second
		change(&cfg)
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		s, err := New(Params{Config: cfg, Logger: testkit.Logger(t), Clock: time.Now, Transport: transport})
		require.NoError(t, err)
		return s, ws
	}
	cases := []struct {
		name   string
		config func(*Config)
		want   string
		path   string
	}{
		{"an Autoscaling endpoint's credential is a password",
			func(c *Config) { c.Endpoint = workspacetest.Endpoint }, "database-token-2", workspacetest.PathEndpointCredential},
		{"a Provisioned instance's is too",
			func(c *Config) { c.Instance = workspacetest.Instance }, "database-token-2", workspacetest.PathInstanceCredential},
		{"without either the workspace token is", func(*Config) {}, "workspace-token-1", workspacetest.PathToken},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, ws := setup(t, c.config)
			require.Zero(t, ws.Calls(workspacetest.PathDiscovery), "nothing is asked before it is needed")
			require.Equal(t, c.want, tokenOf(t, s))
			require.True(t, ws.Accepts(c.want))
			require.Equal(t, 1, ws.Calls(c.path))
			s.mu.Lock()
			defer s.mu.Unlock()
			require.WithinDuration(t, time.Now().Add(time.Hour), s.current.expiry, 2*time.Minute)
			require.Empty(t, ws.Unknown())
		})
	}

	t.Run("a wrong secret says so and is not retried", func(t *testing.T) {
		t.Parallel()
		s, ws := setup(t, func(c *Config) { c.Endpoint, c.ClientSecret = workspacetest.Endpoint, "not-the-secret" })
		_, err := s.Token(t.Context())
		require.Error(t, err)
		require.NotContains(t, err.Error(), "not-the-secret")
		require.Zero(t, ws.Calls(workspacetest.PathEndpointCredential))
	})

	t.Run("an unknown endpoint says so and is not retried", func(t *testing.T) {
		t.Parallel()
		s, ws := setup(t, func(c *Config) { c.Endpoint = "projects/x/branches/y/endpoints/z" })
		_, err := s.Token(t.Context())
		require.ErrorIs(t, err, apierr.ErrNotFound)
		require.Equal(t, 1, ws.Calls(workspacetest.PathEndpointCredential))
	})

	t.Run("a workspace that is ill for a moment is asked again", func(t *testing.T) {
		t.Parallel()
		s, ws := setup(t, func(c *Config) { c.Endpoint, c.Timeout = workspacetest.Endpoint, 30*time.Second })
		ws.Fail(workspacetest.PathEndpointCredential, http.StatusInternalServerError)
		got := make(chan error, 1)
		go func() {
			_, err := s.Token(t.Context())
			got <- err
		}()
		testkit.Eventually(t, "a failed call", func() bool { return ws.Calls(workspacetest.PathEndpointCredential) > 0 })
		ws.Fail(workspacetest.PathEndpointCredential, 0)
		require.NoError(t, testkit.Receive(t, "the token", got))
	})
}

func TestConfig(t *testing.T) {
	t.Parallel()
	from := func(env map[string]string) (Config, bool) {
		return FromEnv(func(name string) string { return env[name] })
	}
	app := map[string]string{"DATABRICKS_APP_NAME": "lakepulse", "PGHOST": "ep-1.database.example", "PGUSER": "role",
		"DATABRICKS_CLIENT_ID": "id", "DATABRICKS_CLIENT_SECRET": "secret"}

	t.Run("a plain Postgres is none of this package's business", func(t *testing.T) {
		t.Parallel()
		for _, env := range []map[string]string{{}, {"DATABASE_URL": "postgres://x"}, {"PGHOST": "db", "PGPASSWORD": "p"}} {
			_, inUse := from(env)
			require.False(t, inUse)
		}
	})
	t.Run("an app with a database and no password has a Lakebase", func(t *testing.T) {
		t.Parallel()
		cfg, inUse := from(app)
		require.True(t, inUse)
		require.NoError(t, cfg.Validate())
		require.Empty(t, cfg.User, "PGUSER is the pool's own")
		require.Equal(t, SSLVerifyFull, cfg.SSLMode)
	})
	t.Run("without PGUSER the role is the service principal", func(t *testing.T) {
		t.Parallel()
		cfg, inUse := from(map[string]string{"LAKEBASE_ENDPOINT": "e", "DATABRICKS_CLIENT_ID": "id", "DATABRICKS_CLIENT_SECRET": "s"})
		require.True(t, inUse)
		require.Equal(t, "id", cfg.User)
	})
	t.Run("what the environment changes is changed, what it garbles is refused", func(t *testing.T) {
		t.Parallel()
		cfg, _ := from(map[string]string{"LAKEPULSE_PG_SSLMODE": "disable", "LAKEPULSE_PG_CONN_LIFETIME": "90s"})
		require.Equal(t, SSLDisable, cfg.SSLMode)
		require.Equal(t, 90*time.Second, cfg.ConnLifetime)
		cfg, _ = from(map[string]string{"LAKEPULSE_PG_CONN_LIFETIME": "soon"})
		require.ErrorContains(t, cfg.Validate(), "LAKEPULSE_PG_CONN_LIFETIME")
	})
	t.Run("contradictions are told", func(t *testing.T) {
		t.Parallel()
		cfg := Config{Endpoint: "e", Instance: "i", SSLMode: "prefer", ClientID: "id"}
		err := cfg.Validate()
		for _, word := range []string{"LAKEBASE_INSTANCE", "LAKEPULSE_PG_SSLMODE", "DATABRICKS_CLIENT_SECRET", "positive"} {
			require.ErrorContains(t, err, word)
		}
	})
}
