package lakebase

import (
	"errors"
	"fmt"
	"time"
)

// The values of SSLMode.
const (
	SSLVerifyFull = "verify-full" // encrypted, certificate and host name verified
	SSLRequire    = "require"     // encrypted to whoever answers
	SSLDisable    = "disable"     // in the clear: for a Postgres on this machine
)

// Config says where tokens come from and how the database is connected to.
type Config struct {
	// Host is the workspace; empty leaves it to the SDK (environment, profile).
	Host string
	// WorkspaceID is sent along where it is known.
	WorkspaceID string
	// ClientID and ClientSecret are the app's own service principal. Empty leaves
	// authentication to the SDK's default chain, as on a developer's machine.
	ClientID, ClientSecret string
	// Endpoint is an Autoscaling endpoint, projects/<p>/branches/<b>/endpoints/<e>.
	Endpoint string
	// Instance is the name of a Provisioned instance.
	Instance string
	// User is the Postgres role to log in as; empty leaves the pool's own.
	User string
	// SSLMode is SSLVerifyFull, SSLRequire or SSLDisable.
	SSLMode string
	// ConnLifetime is how long a connection is used before it is replaced.
	ConnLifetime time.Duration
	// RefreshBefore is how long before its expiry a token is replaced.
	RefreshBefore time.Duration
	// Timeout bounds one refresh, retries included.
	Timeout time.Duration
}

// DefaultConfig returns the bounds production runs with. Connections are replaced
// before the hour their token had is over, as Databricks recommends.
func DefaultConfig() Config {
	return Config{SSLMode: SSLVerifyFull, ConnLifetime: 45 * time.Minute,
		RefreshBefore: 5 * time.Minute, Timeout: 30 * time.Second}
}

// FromEnv reads the environment. inUse says whether the database is a Lakebase
// at all: when an endpoint or an instance is named, or when a Databricks app has
// been given a database (PGHOST) but no password for it.
// LAKEPULSE_PG_SSLMODE and LAKEPULSE_PG_CONN_LIFETIME change SSLMode and
// ConnLifetime; one that cannot be read is left for Validate to refuse.
func FromEnv(getenv func(string) string) (cfg Config, inUse bool) {
	cfg = DefaultConfig()
	cfg.Host = getenv("DATABRICKS_HOST")
	cfg.WorkspaceID = getenv("DATABRICKS_WORKSPACE_ID")
	cfg.ClientID = getenv("DATABRICKS_CLIENT_ID")
	cfg.ClientSecret = getenv("DATABRICKS_CLIENT_SECRET")
	cfg.Endpoint = getenv("LAKEBASE_ENDPOINT")
	cfg.Instance = getenv("LAKEBASE_INSTANCE")
	if mode := getenv("LAKEPULSE_PG_SSLMODE"); mode != "" {
		cfg.SSLMode = mode
	}
	if lifetime := getenv("LAKEPULSE_PG_CONN_LIFETIME"); lifetime != "" {
		parsed, err := time.ParseDuration(lifetime)
		if err != nil {
			parsed = 0
		}
		cfg.ConnLifetime = parsed
	}
	if getenv("DATABASE_URL") == "" && getenv("PGUSER") == "" {
		cfg.User = cfg.ClientID
	}
	given := getenv("DATABRICKS_APP_NAME") != "" && getenv("PGHOST") != "" &&
		getenv("PGPASSWORD") == "" && getenv("DATABASE_URL") == ""
	return cfg, cfg.Endpoint != "" || cfg.Instance != "" || given
}

// Validate returns everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	if c.Endpoint != "" && c.Instance != "" {
		errs = append(errs, errors.New("LAKEBASE_ENDPOINT and LAKEBASE_INSTANCE are both set: a database has one of them"))
	}
	switch c.SSLMode {
	case SSLVerifyFull, SSLRequire, SSLDisable:
	default:
		errs = append(errs, fmt.Errorf("LAKEPULSE_PG_SSLMODE is %q, want %s, %s or %s",
			c.SSLMode, SSLVerifyFull, SSLRequire, SSLDisable))
	}
	if (c.ClientID == "") != (c.ClientSecret == "") {
		errs = append(errs, errors.New("DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET belong together"))
	}
	if c.ConnLifetime <= 0 {
		errs = append(errs, errors.New("LAKEPULSE_PG_CONN_LIFETIME must be a positive duration, such as 45m"))
	}
	if c.RefreshBefore <= 0 || c.Timeout <= 0 {
		errs = append(errs, errors.New("lakebase refresh margin and timeout must be positive"))
	}
	return errors.Join(errs...)
}
