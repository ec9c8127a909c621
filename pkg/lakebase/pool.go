package lakebase

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/postgres"
)

// connectTimeout covers a compute that wakes from zero.
const connectTimeout = 30 * time.Second

// Tune makes a pool log in with this source's tokens: postgres.Config.Tune.
func (s *Source) Tune(pc *pgxpool.Config) error {
	Apply(pc, s, s.cfg)
	return nil
}

// forgetter is a Credentials that can be told that a password was refused.
type forgetter interface{ Forget(text string) }

// Apply makes a pool log in with creds, and connect as cfg says. What pc had for
// BeforeConnect and OnPgError still runs.
func Apply(pc *pgxpool.Config, creds Credentials, cfg Config) {
	pc.MaxConnLifetime = cfg.ConnLifetime
	pc.MaxConnLifetimeJitter = cfg.ConnLifetime / 9 // a pool that replaces all at once stalls
	cc := pc.ConnConfig
	cc.ConnectTimeout = connectTimeout
	if cfg.User != "" {
		cc.User = cfg.User
	}
	secure(cc, cfg.SSLMode)

	before := pc.BeforeConnect
	pc.BeforeConnect = func(ctx context.Context, cc *pgx.ConnConfig) error {
		if before != nil {
			if err := before(ctx, cc); err != nil {
				return err
			}
		}
		password, err := creds.Token(ctx)
		if err != nil {
			return err
		}
		cc.Password = password
		if f, ok := creds.(forgetter); ok {
			cc.OnPgError = forgetRefused(f, password, cc.OnPgError)
		}
		return nil
	}
}

// forgetRefused has a token forgotten that Postgres does not take, although by
// its expiry it should: a role made anew, a revoked grant, a clock that is wrong.
func forgetRefused(f forgetter, password string, next pgconn.PgErrorHandler) pgconn.PgErrorHandler {
	return func(conn *pgconn.PgConn, err *pgconn.PgError) bool {
		if postgres.LoginRefused(err) {
			f.Forget(password)
		}
		return next(conn, err) // never nil in a parsed configuration
	}
}

// secure sets TLS on the connection and takes away every fallback to less.
func secure(cc *pgx.ConnConfig, mode string) {
	var roots *x509.CertPool // nil: the system's; PGSSLROOTCERT was read into the parsed one
	if cc.TLSConfig != nil {
		roots = cc.TLSConfig.RootCAs
	}
	cc.Fallbacks = nil
	switch mode {
	case SSLDisable:
		cc.TLSConfig = nil
	case SSLRequire:
		cc.TLSConfig = &tls.Config{ServerName: cc.Host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} //nolint:gosec // as configured
	default:
		cc.TLSConfig = &tls.Config{ServerName: cc.Host, MinVersion: tls.VersionTLS12, RootCAs: roots}
	}
}
