package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/lakepulse/lakepulse/pkg/fault"
)

// maxToken bounds a token we are ready to look at; real ones have 1–4 KiB.
const maxToken = 16 << 10

// Params are what an authenticator is made of.
type Params struct {
	Config Config
	Keys   KeyVerifier // nil: API keys are refused
	// Principals are those that administrators add while the process runs; nil for none.
	Principals PrincipalDirectory
	Logger     *slog.Logger
	Clock      func() time.Time
}

// New returns the authenticator of the configured mode.
func New(p Params) (Authenticator, error) {
	if err := p.Config.Validate(); err != nil {
		return nil, err
	}
	if p.Config.Mode == ModeDev {
		return NewDev(p.Keys), nil
	}
	return NewDatabricks(p)
}

// Databricks recognises API keys, users by their own access token and
// allow-listed service principals.
type Databricks struct {
	keys        KeyVerifier
	logger      *slog.Logger
	clock       func() time.Time
	workspace   *workspace
	admins      map[string]bool // as FoldName spells them
	principals  principals
	directory   PrincipalDirectory // nil: only the configured principals
	workspaceID string
	trustProxy  bool
	timeout     time.Duration
	ttl         time.Duration

	cache *cache
	calls singleflight.Group
	slots chan struct{} // one taken per question in flight
}

// NewDatabricks returns the authenticator of production.
func NewDatabricks(p Params) (*Databricks, error) {
	if err := p.Config.Validate(); err != nil {
		return nil, err
	}
	list, err := parsePrincipals(p.Config.ServicePrincipals, p.Config.WorkspaceID)
	if err != nil {
		return nil, err
	}
	ws, err := newWorkspace(p.Config)
	if err != nil {
		return nil, err
	}
	admins := make(map[string]bool, len(p.Config.AdminGroups))
	for _, group := range p.Config.AdminGroups {
		admins[FoldName(group)] = true
	}
	return &Databricks{
		keys:        p.Keys,
		logger:      p.Logger.With("component", "auth"),
		clock:       p.Clock,
		workspace:   ws,
		admins:      admins,
		principals:  list,
		directory:   p.Principals,
		workspaceID: p.Config.WorkspaceID,
		trustProxy:  p.Config.TrustProxyHeaders,
		timeout:     p.Config.VerifyTimeout,
		ttl:         p.Config.CacheTTL,
		cache:       newCache(p.Config.CacheSize),
		slots:       make(chan struct{}, p.Config.MaxVerifications),
	}, nil
}

// Authenticate implements Authenticator. The order is the order of strength: a
// key, then the token the proxy forwards, then what the proxy says of a service
// principal, then a bearer token. The first that is there decides: a bad one is
// never rescued by a weaker one.
func (d *Databricks) Authenticate(r *http.Request) (Caller, error) {
	if key := keyOf(r); key != "" {
		return appCaller(d.keys, key)
	}
	if values, there := r.Header[HeaderAccessToken]; there {
		return d.byToken(r.Context(), only(values))
	}
	if caller, ok := d.byProxy(r); ok {
		return caller, nil
	}
	if token := bearerOf(r); token != "" {
		return d.byToken(r.Context(), token)
	}
	return Caller{}, fault.New(fault.Unauthenticated, messageNoProof)
}

// only returns the single value of a header: two say that somebody added one.
func only(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return strings.TrimSpace(values[0])
}

// byProxy believes the proxy about an allow-listed service principal.
func (d *Databricks) byProxy(r *http.Request) (Caller, bool) {
	if !d.trustProxy {
		return Caller{}, false
	}
	return d.service(only(r.Header[HeaderUser]))
}

func (d *Databricks) service(id string) (Caller, bool) {
	app, listed := d.principals[FoldName(id)]
	if !listed && d.directory != nil && id != "" {
		app, listed = d.directory.AppOf(d.applicationID(id))
	}
	if !listed {
		return Caller{}, false
	}
	return Caller{Kind: KindService, UserID: id, App: app}, true
}

// applicationID returns the application id in the form that administrators enter:
// the proxy adds the workspace's id to it.
func (d *Databricks) applicationID(id string) string {
	if d.workspaceID == "" {
		return id
	}
	return strings.TrimSuffix(id, "@"+d.workspaceID)
}

// byToken asks the workspace whose token this is, at most once per CacheTTL.
func (d *Databricks) byToken(ctx context.Context, token string) (Caller, error) {
	if token == "" || len(token) > maxToken {
		return Caller{}, fault.New(fault.Unauthenticated, messageBadToken)
	}
	digest := sha256.Sum256([]byte(token))
	if caller, ok := d.cache.get(digest, d.clock()); ok {
		return caller, nil
	}
	// The question outlives the request that asked it first: others wait for the same
	// answer, and must not fail because that one went away.
	asked := d.calls.DoChan(string(digest[:]), func() (any, error) {
		return d.ask(context.WithoutCancel(ctx), token, digest)
	})
	select {
	case result := <-asked:
		if result.Err != nil {
			return Caller{}, result.Err
		}
		return result.Val.(Caller), nil
	case <-ctx.Done():
		return Caller{}, unavailable(ctx.Err())
	}
}

func (d *Databricks) ask(ctx context.Context, token string, digest digest) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return nil, d.fail(errors.New("too many tokens are being verified at once"))
	}
	who, err := d.workspace.me(ctx, token)
	if err != nil {
		return nil, d.fail(err)
	}
	caller := d.caller(who)
	now := d.clock()
	d.cache.put(digest, caller, d.believedUntil(token, now), now)
	return caller, nil
}

// caller turns the workspace's answer into who is calling.
func (d *Databricks) caller(who identity) Caller {
	caller, listed := d.service(who.userName)
	if !listed {
		caller = Caller{Kind: KindUser, UserID: who.userName}
	}
	caller.Groups = who.groups
	for _, group := range who.groups {
		caller.Admin = caller.Admin || d.admins[FoldName(group)]
	}
	return caller
}

// believedUntil is when the token has to be verified again.
func (d *Databricks) believedUntil(token string, now time.Time) time.Time {
	until := now.Add(d.ttl)
	if expiry, ok := statedExpiry(token); ok && expiry.Before(until) {
		return expiry
	}
	return until
}

// fail gives the workspace's refusal its code, and logs what is not the caller's doing.
func (d *Databricks) fail(err error) error {
	switch f := refusal(err); f.Code {
	case fault.Unauthenticated, fault.Forbidden:
		return f
	default:
		d.logger.Warn("workspace did not say who is calling", "error", err)
		return f
	}
}
