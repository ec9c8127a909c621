package auth

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// Mode chooses an authenticator.
type Mode string

// The modes.
const (
	ModeDev        Mode = "dev"
	ModeDatabricks Mode = "databricks"
)

// Config says how callers are recognised. Only Mode matters to dev.
type Config struct {
	Mode Mode
	// Host is the workspace, as a URL or a bare host name (https is then meant).
	Host string
	// WorkspaceID lets "<id>@<workspace id>", the form the Apps proxy gives service
	// principals in X-Forwarded-User, match an allow-listed "<id>".
	WorkspaceID string
	// AdminGroups are the workspace groups whose members are administrators, in any case.
	AdminGroups []string
	// ServicePrincipals are the service principals that may call, each an application
	// id, or "<application id>=<app>" to tie what it sends to one app. Display names are
	// not accepted: they are not unique and people can choose theirs.
	ServicePrincipals []string
	// TrustProxyHeaders believes X-Forwarded-User, without a token, for allow-listed
	// service principals. True only where the Apps proxy is the one way in.
	TrustProxyHeaders bool
	// CacheTTL is how long a verified identity is believed without asking again.
	CacheTTL time.Duration
	// CacheSize bounds the remembered identities.
	CacheSize int
	// VerifyTimeout bounds one question to the workspace, retries included.
	VerifyTimeout time.Duration
	// MaxVerifications bounds the questions in flight, so that a flood of made-up
	// tokens cannot become a flood of calls.
	MaxVerifications int
}

// DefaultConfig returns what production runs with, but for the workspace's host.
func DefaultConfig() Config {
	return Config{
		Mode:             ModeDatabricks,
		AdminGroups:      []string{"admins", "workspace_admins", "administrators"},
		CacheTTL:         5 * time.Minute,
		CacheSize:        10_000,
		VerifyTimeout:    5 * time.Second,
		MaxVerifications: 64,
	}
}

// WithEnv returns c with what the environment says: DATABRICKS_HOST,
// DATABRICKS_WORKSPACE_ID, LAKEPULSE_ADMIN_GROUPS and
// LAKEPULSE_SERVICE_PRINCIPALS (comma-separated), and DATABRICKS_APP_NAME, which
// only the Apps runtime sets and which turns TrustProxyHeaders on.
func (c Config) WithEnv(getenv func(string) string) Config {
	if host := getenv("DATABRICKS_HOST"); host != "" {
		c.Host = host
	}
	if id := getenv("DATABRICKS_WORKSPACE_ID"); id != "" {
		c.WorkspaceID = id
	}
	if groups := splitList(getenv("LAKEPULSE_ADMIN_GROUPS")); len(groups) > 0 {
		c.AdminGroups = groups
	}
	if principals := splitList(getenv("LAKEPULSE_SERVICE_PRINCIPALS")); len(principals) > 0 {
		c.ServicePrincipals = principals
	}
	if getenv("DATABRICKS_APP_NAME") != "" {
		c.TrustProxyHeaders = true
	}
	return c
}

// Validate returns everything that is wrong with c.
func (c Config) Validate() error {
	switch c.Mode {
	case ModeDev:
		return nil
	case ModeDatabricks:
	default:
		return fmt.Errorf("auth mode is %q, want %q or %q", c.Mode, ModeDev, ModeDatabricks)
	}
	var errs []error
	if _, err := hostURL(c.Host); err != nil {
		errs = append(errs, err)
	}
	if len(c.AdminGroups) == 0 {
		errs = append(errs, errors.New("no admin groups: nobody could open the dashboard"))
	}
	if _, err := parsePrincipals(c.ServicePrincipals, c.WorkspaceID); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs,
		positive("auth cache time", c.CacheTTL),
		positive("auth cache size", c.CacheSize),
		positive("auth verify timeout", c.VerifyTimeout),
		positive("auth verifications at once", c.MaxVerifications))
	return errors.Join(errs...)
}

func positive[T int | time.Duration](name string, v T) error {
	if v > 0 {
		return nil
	}
	return fmt.Errorf("%s is %v, must be positive", name, v)
}

// hostURL returns the workspace's URL without a path. Plain http is for tests
// and fakes on this machine: over a network it would give every token away.
func hostURL(host string) (string, error) {
	if host == "" {
		return "", errors.New("DATABRICKS_HOST is not set: databricks auth asks the workspace who a token belongs to")
	}
	if !strings.Contains(host, "://") {
		host = "https://" + host
	}
	u, err := url.Parse(host)
	if err != nil || u.Host == "" || u.User != nil {
		return "", errors.New("DATABRICKS_HOST is not the URL of a workspace")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return "", fmt.Errorf("DATABRICKS_HOST uses %s: tokens are sent over https only", u.Scheme)
	}
	return u.Scheme + "://" + u.Host, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// principals maps an allow-listed service principal's id to its app, "" for any.
type principals map[string]string

// parsePrincipals reads the allow-list. Ids compare without case, and also in
// the proxy's form when the workspace id is known.
func parsePrincipals(entries []string, workspaceID string) (principals, error) {
	list := make(principals, 2*len(entries))
	var errs []error
	for _, entry := range entries {
		id, app, tied := strings.Cut(entry, "=")
		id, app = FoldName(strings.TrimSpace(id)), strings.TrimSpace(app)
		if id == "" || (tied && !event.ValidApp(app)) {
			errs = append(errs, fmt.Errorf("service principal %q: want an application id, or <application id>=<app>", entry))
			continue
		}
		list[id] = app
		if workspaceID != "" {
			list[id+"@"+workspaceID] = app
		}
	}
	return list, errors.Join(errs...)
}

func splitList(s string) []string {
	var items []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
