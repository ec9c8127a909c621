package auth

import (
	"net/http"
	"strings"
	"time"

	"github.com/lakepulse/lakepulse/pkg/fault"
)

// Kind is what sort of caller this is.
type Kind string

// The kinds. Authenticate never returns an anonymous caller without an error;
// the zero Caller is one, for code that logs before it knows.
const (
	KindAnonymous Kind = ""
	KindUser      Kind = "user"    // a person, by the workspace's answer to their token
	KindApp       Kind = "app"     // an app instance, by its API key
	KindService   Kind = "service" // an allow-listed service principal
)

// Caller is who sent a request.
type Caller struct {
	Kind   Kind
	UserID string // userName of a user, application id of a service principal; "" for an app
	App    string // the app of the key; for a service principal the one it was allow-listed for, or ""
	KeyID  string // the public part of the key, of a KindApp
	Admin  bool
	Groups []string // display names of a user's groups, as the workspace spells them
	// ReadableApps are the apps whose numbers a user may read who is no
	// administrator. It is filled for endpoints that readers may call.
	ReadableApps []string
}

// FoldName returns a name in the form in which names are compared: ASCII letters
// in lower case and everything else as it is. Unicode has letters that fold to
// ASCII ones, so that a group which looks like "admins" would become it.
func FoldName(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

// Authenticator finds out who sent a request. Its errors are *fault.Error:
// Unauthenticated (401: no proof, or one that does not hold), Forbidden (403: a
// token the workspace knows but will not describe) and Unavailable (503 with
// RetryAfter: nobody could say). Safe for concurrent use.
type Authenticator interface {
	Authenticate(r *http.Request) (Caller, error)
}

// KeyVerifier turns the text of an API key into the key, or into a *fault.Error.
type KeyVerifier interface {
	Verify(plain string) (Key, error)
}

// PrincipalDirectory says which app a service principal sends for.
type PrincipalDirectory interface {
	// AppOf takes the application id in any case. known is false for a stranger.
	AppOf(principal string) (app string, known bool)
}

// Messages callers see. The first two are part of the HTTP contract.
const (
	MessageNotAdmin    = "Administrator privileges required"
	MessageUnavailable = "Unable to verify admin privileges"

	messageNoProof      = "Authentication required"
	messageBadToken     = "The access token is invalid or has expired"
	messageBadKey       = "The API key is unknown or has been revoked"
	messageKeysLoading  = "Unable to verify API keys"
	messageUndescribed  = "The workspace does not let this token read its own identity"
	messageKeysDisabled = "API keys are not accepted here"
)

// retryAfter is told with every 503: long enough to spare an ailing workspace,
// short enough that a person does not give up.
const retryAfter = 5 * time.Second

// RequireAdmin refuses everybody who is not an administrator.
func RequireAdmin(c Caller) error {
	if c.Admin {
		return nil
	}
	if c.Kind == KindAnonymous {
		return fault.New(fault.Unauthenticated, messageNoProof)
	}
	return fault.New(fault.Forbidden, MessageNotAdmin)
}

// RequireOperator lets through administrators and service principals: the
// daily job that triggers the aggregation is one.
func RequireOperator(c Caller) error {
	if c.Kind == KindService {
		return nil
	}
	return RequireAdmin(c)
}

// Headers this package reads.
const (
	HeaderKey         = "X-Lakepulse-Key"
	HeaderAccessToken = "X-Forwarded-Access-Token" //nolint:gosec // a header's name is no secret
	HeaderEmail       = "X-Forwarded-Email"
	HeaderUser        = "X-Forwarded-User"
)

// keyOf returns the API key a request carries, "" without one.
func keyOf(r *http.Request) string {
	if key := strings.TrimSpace(r.Header.Get(HeaderKey)); key != "" {
		return key
	}
	if token := bearerOf(r); strings.HasPrefix(token, keyPrefix) {
		return token
	}
	return ""
}

// bearerOf returns the bearer token of the Authorization header, "" without one.
func bearerOf(r *http.Request) string {
	scheme, token, found := strings.Cut(r.Header.Get("Authorization"), " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// appCaller authenticates an API key.
func appCaller(keys KeyVerifier, plain string) (Caller, error) {
	if keys == nil {
		return Caller{}, fault.New(fault.Unauthenticated, messageKeysDisabled)
	}
	key, err := keys.Verify(plain)
	if err != nil {
		return Caller{}, err
	}
	return Caller{Kind: KindApp, App: key.App, KeyID: key.ID}, nil
}

func unavailable(cause error) error {
	return fault.Wrap(cause, fault.Unavailable, MessageUnavailable).After(retryAfter)
}
