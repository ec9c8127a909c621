package auth

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

const (
	principal = "5f2b4c1e-0000-4000-8000-000000000001"
	goodKey   = "lp_aaaaaaaaaaaa_0123456789012345678901234567890123456789012"
)

// oneKey accepts one key.
type oneKey struct{}

func (oneKey) Verify(plain string) (Key, error) {
	if plain != goodKey {
		return Key{}, fault.New(fault.Unauthenticated, messageBadKey)
	}
	return Key{ID: "aaaaaaaaaaaa", App: "shop"}, nil
}

type bundle struct {
	*Databricks
	workspace *fakeWorkspace
	clock     *testkit.Clock
}

func setup(t *testing.T, change ...func(*Config)) bundle {
	t.Helper()
	ws := newFakeWorkspace(t)
	cfg := DefaultConfig()
	cfg.Host = ws.URL
	cfg.WorkspaceID = "4242"
	cfg.ServicePrincipals = []string{principal + "=billing"}
	for _, c := range change {
		c(&cfg)
	}
	clock := testkit.NewClock(noon)
	d, err := NewDatabricks(Params{Config: cfg, Keys: oneKey{}, Logger: testkit.Logger(t), Clock: clock.Now})
	require.NoError(t, err)
	t.Cleanup(d.workspace.transport.(*http.Transport).CloseIdleConnections)
	return bundle{Databricks: d, workspace: ws, clock: clock}
}

func trusting(cfg *Config) { cfg.TrustProxyHeaders = true }

func TestDatabricksCallers(t *testing.T) {
	t.Parallel()
	ada := Caller{Kind: KindUser, UserID: "ada@example.com", Admin: true}
	bob := Caller{Kind: KindUser, UserID: "bob@example.com"}
	shop := Caller{Kind: KindApp, App: "shop", KeyID: "aaaaaaaaaaaa"}
	service := Caller{Kind: KindService, UserID: principal, App: "billing"}
	cases := []struct {
		name    string
		config  func(*Config)
		headers map[string]string
		want    Caller
		code    fault.Code
	}{
		{name: "nothing sent is nobody", code: fault.Unauthenticated},
		{name: "a member of Admins is an administrator, in any case",
			headers: map[string]string{HeaderAccessToken: "admin-token"}, want: ada},
		{name: "another user is not", headers: map[string]string{HeaderAccessToken: "user-token"}, want: bob},
		{name: "missing groups are not an administrator's",
			headers: map[string]string{HeaderAccessToken: "groupless-token"},
			want:    Caller{Kind: KindUser, UserID: "eve@example.com"}},
		{name: "a group whose name only contains admins is not enough",
			headers: map[string]string{HeaderAccessToken: "similar-token"},
			want:    Caller{Kind: KindUser, UserID: "mia@example.com"}},
		{name: "a group that only looks like admins is not enough",
			headers: map[string]string{HeaderAccessToken: "lookalike-token"},
			want:    Caller{Kind: KindUser, UserID: "lou@example.com"}},
		{name: "an account that was switched off is nobody",
			headers: map[string]string{HeaderAccessToken: "inactive-token"}, code: fault.Unauthenticated},
		{name: "the admin groups can be configured",
			config:  func(c *Config) { c.AdminGroups = []string{"Platform Team"} },
			headers: map[string]string{HeaderAccessToken: "own-group-token"},
			want:    Caller{Kind: KindUser, UserID: "kim@example.com", Admin: true}},
		{name: "an answer without a user name is no answer",
			headers: map[string]string{HeaderAccessToken: "nameless-token"}, code: fault.Unavailable},
		{name: "an expired token is refused",
			headers: map[string]string{HeaderAccessToken: "expired-token"}, code: fault.Unauthenticated},
		{name: "an empty token is refused, without asking as somebody else",
			headers: map[string]string{HeaderAccessToken: ""}, code: fault.Unauthenticated},
		{name: "a token too long to be one is refused",
			headers: map[string]string{HeaderAccessToken: strings.Repeat("x", maxToken+1)}, code: fault.Unauthenticated},

		{name: "a spoofed e-mail beside a token changes nothing",
			headers: map[string]string{HeaderAccessToken: "user-token", HeaderEmail: "ada@example.com", HeaderUser: "ada@example.com"},
			want:    bob},
		{name: "an e-mail without a token proves nothing",
			headers: map[string]string{HeaderEmail: "ada@example.com", HeaderUser: "1@4242"}, code: fault.Unauthenticated},
		{name: "nor does it behind the proxy", config: trusting,
			headers: map[string]string{HeaderEmail: "ada@example.com", HeaderUser: "1@4242"}, code: fault.Unauthenticated},
		{name: "a bad token is not rescued by a listed principal's header", config: trusting,
			headers: map[string]string{HeaderAccessToken: "expired-token", HeaderUser: principal}, code: fault.Unauthenticated},
		{name: "a bad key is not rescued by a good token",
			headers: map[string]string{HeaderKey: "lp_bad", HeaderAccessToken: "admin-token"}, code: fault.Unauthenticated},

		{name: "a key is its app", headers: map[string]string{HeaderKey: goodKey}, want: shop},
		{name: "a key may be a bearer token", headers: map[string]string{"Authorization": "Bearer " + goodKey}, want: shop},
		{name: "a key outweighs the proxy's token of who carries it",
			headers: map[string]string{HeaderKey: goodKey, HeaderAccessToken: "admin-token"}, want: shop},
		{name: "an unknown key is refused", headers: map[string]string{HeaderKey: goodKey + "x"}, code: fault.Unauthenticated},

		{name: "a bearer token is verified like a forwarded one",
			headers: map[string]string{"Authorization": "Bearer user-token"}, want: bob},
		{name: "another scheme than bearer is nobody",
			headers: map[string]string{"Authorization": "Basic YTpi"}, code: fault.Unauthenticated},
		{name: "a verified principal on the list is a service",
			headers: map[string]string{"Authorization": "Bearer principal-token"}, want: service},
		{name: "a principal not on the list is a user without rights, whatever its display name",
			headers: map[string]string{"Authorization": "Bearer stranger-token"},
			want:    Caller{Kind: KindUser, UserID: "5f2b4c1e-0000-4000-8000-0000000000ff"}},
		{name: "a listed principal's header proves nothing outside Databricks Apps",
			headers: map[string]string{HeaderUser: principal}, code: fault.Unauthenticated},
		{name: "behind the proxy it is a service", config: trusting,
			headers: map[string]string{HeaderUser: strings.ToUpper(principal)},
			want:    Caller{Kind: KindService, UserID: strings.ToUpper(principal), App: "billing"}},
		{name: "also in the proxy's form with the workspace id", config: trusting,
			headers: map[string]string{HeaderUser: principal + "@4242"},
			want:    Caller{Kind: KindService, UserID: principal + "@4242", App: "billing"}},
		{name: "not with another workspace's id", config: trusting,
			headers: map[string]string{HeaderUser: principal + "@9999"}, code: fault.Unauthenticated},
		{name: "a principal not on the list is nobody there", config: trusting,
			headers: map[string]string{HeaderUser: "5f2b4c1e-0000-4000-8000-0000000000ff"}, code: fault.Unauthenticated},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := setup(t, func(cfg *Config) {
				if c.config != nil {
					c.config(cfg)
				}
			})
			got, err := d.Authenticate(request(t, c.headers))
			require.Equal(t, c.code, fault.CodeOf(err))
			got.Groups = nil // see the test of groups
			require.Equal(t, c.want, got)
			require.Zero(t, d.workspace.other.Load(), "only the current-user call may be made")
		})
	}
}

// assigned is a directory with one service principal.
type assigned struct{}

func (assigned) AppOf(id string) (string, bool) { return "reports", FoldName(id) == "77777777-aaaa" }

func TestDatabricksDirectory(t *testing.T) {
	t.Parallel()
	d := setup(t, trusting)
	d.directory = assigned{}
	for _, id := range []string{"77777777-aaaa", "77777777-AAAA", "77777777-aaaa@4242"} {
		got, err := d.Authenticate(request(t, map[string]string{HeaderUser: id}))
		require.NoError(t, err)
		require.Equal(t, Caller{Kind: KindService, UserID: id, App: "reports"}, got, "a principal that an administrator added")
	}
	_, err := d.Authenticate(request(t, map[string]string{HeaderUser: "77777777-aaaa@9999"}))
	require.Equal(t, fault.Unauthenticated, fault.CodeOf(err))
}

func TestDatabricksGroups(t *testing.T) {
	t.Parallel()
	d := setup(t)
	got, err := d.Authenticate(request(t, map[string]string{HeaderAccessToken: "admin-token"}))
	require.NoError(t, err)
	require.Equal(t, []string{"users", "Admins"}, got.Groups)
}

func TestDatabricksHeaderSentTwice(t *testing.T) {
	t.Parallel()
	t.Run("two access tokens are none", func(t *testing.T) {
		t.Parallel()
		d := setup(t)
		r := request(t, map[string]string{HeaderAccessToken: "user-token"})
		r.Header.Add(HeaderAccessToken, "admin-token")
		_, err := d.Authenticate(r)
		require.Equal(t, fault.Unauthenticated, fault.CodeOf(err))
	})
	t.Run("two forwarded users are none", func(t *testing.T) {
		t.Parallel()
		d := setup(t, trusting)
		r := request(t, map[string]string{HeaderUser: principal})
		r.Header.Add(HeaderUser, "1@4242")
		_, err := d.Authenticate(r)
		require.Equal(t, fault.Unauthenticated, fault.CodeOf(err))
	})
}

func TestDatabricksWorkspaceAway(t *testing.T) {
	t.Parallel()
	stall := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	cases := []struct {
		name string
		fail http.HandlerFunc
		code fault.Code
	}{
		{"500 denies with 503", answer(500, `{"error_code":"INTERNAL_ERROR"}`), fault.Unavailable},
		{"502 denies with 503", answer(502, `<html>bad gateway</html>`), fault.Unavailable},
		{"429 denies with 503", answer(429, `{"error_code":"RESOURCE_EXHAUSTED"}`), fault.Unavailable},
		{"503 denies with 503", answer(503, `{"error_code":"TEMPORARILY_UNAVAILABLE"}`), fault.Unavailable},
		{"404 denies with 503", answer(404, `{"error_code":"NOT_FOUND"}`), fault.Unavailable},
		{"a sign-in page instead of JSON denies with 503", answer(200, `<html>sign in</html>`), fault.Unavailable},
		{"an empty object denies with 503", answer(200, `{}`), fault.Unavailable},
		{"silence denies with 503", stall, fault.Unavailable},
		{"401 is the token's fault", answer(401, `{"error_code":"UNAUTHENTICATED"}`), fault.Unauthenticated},
		{"403 is a token without the scope to say who it is", answer(403, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"403"}`), fault.Forbidden},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := setup(t, func(cfg *Config) { cfg.VerifyTimeout = 300 * time.Millisecond })
			d.workspace.failWith(c.fail)
			_, err := d.Authenticate(request(t, map[string]string{HeaderAccessToken: "admin-token"}))
			require.Equal(t, c.code, fault.CodeOf(err))
			if c.code == fault.Unavailable {
				require.Equal(t, MessageUnavailable, fault.As(err).Message)
				require.Positive(t, fault.As(err).RetryAfter)
			}
			require.NotContains(t, err.Error(), "admin-token")

			d.workspace.failWith(nil)
			got, err := d.Authenticate(request(t, map[string]string{HeaderAccessToken: "admin-token"}))
			require.NoError(t, err, "a failure must not be remembered")
			require.True(t, got.Admin)
		})
	}

	t.Run("nobody there denies with 503", func(t *testing.T) {
		t.Parallel()
		d := setup(t, func(cfg *Config) { cfg.VerifyTimeout = 300 * time.Millisecond })
		d.workspace.Close()
		_, err := d.Authenticate(request(t, map[string]string{HeaderAccessToken: "admin-token"}))
		require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	})
}

func TestDatabricksRemembers(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T, d bundle, token string) Caller {
		t.Helper()
		caller, err := d.Authenticate(request(t, map[string]string{HeaderAccessToken: token}))
		require.NoError(t, err)
		return caller
	}

	t.Run("an administrator for five minutes", func(t *testing.T) {
		t.Parallel()
		d := setup(t)
		ask(t, d, "admin-token")
		d.workspace.set("admin-token", scimUser("ada@example.com", "users"))
		d.clock.Advance(5*time.Minute - time.Nanosecond)
		require.True(t, ask(t, d, "admin-token").Admin)
		require.EqualValues(t, 1, d.workspace.asked.Load())
		d.clock.Advance(time.Nanosecond)
		require.False(t, ask(t, d, "admin-token").Admin, "the group was taken away")
	})

	t.Run("that somebody is not an administrator", func(t *testing.T) {
		t.Parallel()
		d := setup(t)
		ask(t, d, "user-token")
		ask(t, d, "user-token")
		require.EqualValues(t, 1, d.workspace.asked.Load())
	})

	t.Run("no token that was refused", func(t *testing.T) {
		t.Parallel()
		d := setup(t)
		_, err := d.Authenticate(request(t, map[string]string{HeaderAccessToken: "late-token"}))
		require.Equal(t, fault.Unauthenticated, fault.CodeOf(err))
		d.workspace.set("late-token", scimUser("bob@example.com"))
		require.Equal(t, "bob@example.com", ask(t, d, "late-token").UserID)
	})

	t.Run("no token past the expiry it states", func(t *testing.T) {
		t.Parallel()
		d := setup(t)
		claims := fmt.Sprintf(`{"exp":%d}`, noon.Add(time.Minute).Unix())
		token := "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
		d.workspace.set(token, scimUser("bob@example.com"))
		ask(t, d, token)
		ask(t, d, token)
		require.EqualValues(t, 1, d.workspace.asked.Load())
		d.workspace.set(token, nil)
		d.clock.Advance(time.Minute)
		_, err := d.Authenticate(request(t, map[string]string{HeaderAccessToken: token}))
		require.Equal(t, fault.Unauthenticated, fault.CodeOf(err))
	})

	t.Run("no more tokens than configured, the latest used ones", func(t *testing.T) {
		t.Parallel()
		d := setup(t, func(cfg *Config) { cfg.CacheSize = 2 })
		for _, token := range []string{"admin-token", "user-token", "admin-token", "similar-token"} {
			ask(t, d, token)
		}
		require.Equal(t, 2, d.cache.len())
		before := d.workspace.asked.Load()
		ask(t, d, "admin-token")
		require.Equal(t, before, d.workspace.asked.Load())
		ask(t, d, "user-token")
		require.Equal(t, before+1, d.workspace.asked.Load())
	})
}

func TestDatabricksAsksOncePerToken(t *testing.T) {
	t.Parallel()
	d := setup(t)
	reached, release := make(chan struct{}, 1), make(chan struct{})
	d.workspace.failWith(func(rw http.ResponseWriter, r *http.Request) {
		reached <- struct{}{}
		<-release
		answer(200, `{"userName":"bob@example.com"}`)(rw, r)
	})

	first, leave := context.WithCancel(t.Context())
	headers := map[string]string{HeaderAccessToken: "user-token"}
	gone := make(chan error, 1)
	go func() {
		_, err := d.Authenticate(request(t, headers).WithContext(first))
		gone <- err
	}()
	testkit.Receive(t, "the question of the first caller", reached)

	var waiting sync.WaitGroup
	results := make(chan error, 8)
	for range cap(results) {
		waiting.Go(func() {
			_, err := d.Authenticate(request(t, headers))
			results <- err
		})
	}
	leave()
	require.Equal(t, fault.Unavailable, fault.CodeOf(testkit.Receive(t, "the caller that went away", gone)))
	close(release)
	waiting.Wait()
	for range cap(results) {
		require.NoError(t, <-results, "the first caller's leaving must not fail the others")
	}
	require.EqualValues(t, 1, d.workspace.asked.Load())
}

func TestDatabricksBoundsQuestions(t *testing.T) {
	t.Parallel()
	d := setup(t, func(cfg *Config) { cfg.MaxVerifications, cfg.VerifyTimeout = 1, 300*time.Millisecond })
	d.slots <- struct{}{} // one that hangs
	_, err := d.Authenticate(request(t, map[string]string{HeaderAccessToken: "user-token"}))
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	require.Zero(t, d.workspace.asked.Load())
	<-d.slots
	_, err = d.Authenticate(request(t, map[string]string{HeaderAccessToken: "user-token"}))
	require.NoError(t, err)
}

// The app's own credentials are in the environment of every Databricks app.
func TestDatabricksIgnoresTheProcessesOwnCredentials(t *testing.T) {
	t.Setenv("DATABRICKS_CLIENT_ID", "the-app-itself")
	t.Setenv("DATABRICKS_CLIENT_SECRET", "secret")
	t.Setenv("DATABRICKS_TOKEN", "app-secret-token")
	d := setup(t)
	caller, err := d.Authenticate(request(t, map[string]string{HeaderAccessToken: "user-token"}))
	require.NoError(t, err)
	require.Equal(t, Caller{Kind: KindUser, UserID: "bob@example.com", Groups: []string{"users"}}, caller)
	_, err = d.Authenticate(request(t, map[string]string{HeaderAccessToken: "expired-token"}))
	require.Equal(t, fault.Unauthenticated, fault.CodeOf(err))
	require.Zero(t, d.workspace.other.Load(), "no token is fetched and no metadata asked for")
}
