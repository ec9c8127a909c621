package auth

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestDev(t *testing.T) {
	t.Parallel()
	dev, err := New(Params{Config: Config{Mode: ModeDev}, Keys: oneKey{}, Logger: testkit.Logger(t), Clock: time.Now})
	require.NoError(t, err)
	cases := []struct {
		name    string
		headers map[string]string
		want    Caller
		code    fault.Code
	}{
		{name: "everybody is an administrator", want: Caller{Kind: KindUser, UserID: DevUser, Admin: true}},
		{name: "under the name they send", headers: map[string]string{HeaderEmail: "ada@example.com"},
			want: Caller{Kind: KindUser, UserID: "ada@example.com", Admin: true}},
		{name: "unless it is too long to store", headers: map[string]string{HeaderEmail: strings.Repeat("x", 256)},
			want: Caller{Kind: KindUser, UserID: DevUser, Admin: true}},
		{name: "a key is its app, without rights", headers: map[string]string{HeaderKey: goodKey},
			want: Caller{Kind: KindApp, App: "shop", KeyID: "aaaaaaaaaaaa"}},
		{name: "a bad key is refused", headers: map[string]string{HeaderKey: "lp_bad"}, code: fault.Unauthenticated},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := dev.Authenticate(request(t, c.headers))
			require.Equal(t, c.code, fault.CodeOf(err))
			require.Equal(t, c.want, got)
		})
	}

	t.Run("without a key store keys are refused", func(t *testing.T) {
		t.Parallel()
		_, err := NewDev(nil).Authenticate(request(t, map[string]string{HeaderKey: goodKey}))
		require.Equal(t, fault.Unauthenticated, fault.CodeOf(err))
	})
}

func TestRequire(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name            string
		caller          Caller
		admin, operator int
	}{
		{"an administrator may all", Caller{Kind: KindUser, Admin: true}, 200, 200},
		{"a user may neither", Caller{Kind: KindUser, UserID: "bob@example.com"}, 403, 403},
		{"an app may neither", Caller{Kind: KindApp, App: "shop"}, 403, 403},
		{"a service principal may trigger runs", Caller{Kind: KindService}, 403, 200},
		{"nobody has to say who they are", Caller{}, 401, 401},
	}
	status := func(err error) int {
		if err == nil {
			return http.StatusOK
		}
		return fault.As(err).Status()
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.admin, status(RequireAdmin(c.caller)))
			require.Equal(t, c.operator, status(RequireOperator(c.caller)))
		})
	}
	require.EqualError(t, RequireAdmin(Caller{Kind: KindUser}), "Administrator privileges required")
}

func TestConfig(t *testing.T) {
	t.Parallel()
	valid := func() Config {
		c := DefaultConfig()
		c.Host = "adb-1.azuredatabricks.net"
		return c
	}
	require.NoError(t, valid().Validate())
	bad := map[string]func(*Config){
		"no mode":                    func(c *Config) { c.Mode = "" },
		"no host":                    func(c *Config) { c.Host = "" },
		"plain http over a network":  func(c *Config) { c.Host = "http://adb-1.azuredatabricks.net" },
		"a password in the host":     func(c *Config) { c.Host = "https://a:b@adb-1.azuredatabricks.net" },
		"no admin groups":            func(c *Config) { c.AdminGroups = nil },
		"an empty service principal": func(c *Config) { c.ServicePrincipals = []string{"=shop"} },
		"a principal with no app":    func(c *Config) { c.ServicePrincipals = []string{principal + "="} },
		"no cache":                   func(c *Config) { c.CacheSize = 0 },
		"no timeout":                 func(c *Config) { c.VerifyTimeout = 0 },
	}
	for name, spoil := range bad {
		t.Run(name+" is refused", func(t *testing.T) {
			t.Parallel()
			c := valid()
			spoil(&c)
			require.Error(t, c.Validate())
		})
	}

	t.Run("every mistake is told at once", func(t *testing.T) {
		t.Parallel()
		c := valid()
		c.Host, c.AdminGroups, c.CacheTTL = "", nil, 0
		err := c.Validate()
		require.ErrorContains(t, err, "DATABRICKS_HOST")
		require.ErrorContains(t, err, "admin groups")
		require.ErrorContains(t, err, "cache time")
	})

	t.Run("the environment of a Databricks app is understood", func(t *testing.T) {
		t.Parallel()
		env := map[string]string{
			"DATABRICKS_HOST": "adb-1.azuredatabricks.net", "DATABRICKS_WORKSPACE_ID": "4242", "DATABRICKS_APP_NAME": "lakepulse",
			"LAKEPULSE_ADMIN_GROUPS": "platform, sre,", "LAKEPULSE_SERVICE_PRINCIPALS": principal + ", x=shop",
		}
		c := DefaultConfig().WithEnv(func(name string) string { return env[name] })
		require.NoError(t, c.Validate())
		require.Equal(t, []string{"platform", "sre"}, c.AdminGroups)
		require.Equal(t, []string{principal, "x=shop"}, c.ServicePrincipals)
		require.True(t, c.TrustProxyHeaders)
	})

	t.Run("outside Databricks Apps no proxy is trusted", func(t *testing.T) {
		t.Parallel()
		require.False(t, DefaultConfig().WithEnv(func(string) string { return "" }).TrustProxyHeaders)
	})
}
