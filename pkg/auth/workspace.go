package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/databricks/databricks-sdk-go/apierr"
	"github.com/databricks/databricks-sdk-go/client"
	"github.com/databricks/databricks-sdk-go/config"
	"github.com/databricks/databricks-sdk-go/service/iam"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
)

// identity is what the workspace says of a token.
type identity struct {
	userName string
	groups   []string
}

// workspace asks a Databricks workspace whose token it is given.
type workspace struct {
	host      string
	timeout   time.Duration
	transport http.RoundTripper
}

func newWorkspace(cfg Config) (*workspace, error) {
	host, err := hostURL(cfg.Host)
	if err != nil {
		return nil, err
	}
	return &workspace{
		host:    host,
		timeout: cfg.VerifyTimeout,
		// A client is made per token; connections are shared, and none waits longer than
		// the question may take.
		transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: cfg.VerifyTimeout}).DialContext,
			TLSHandshakeTimeout:   cfg.VerifyTimeout,
			ForceAttemptHTTP2:     true,
			MaxIdleConnsPerHost:   8,
			IdleConnTimeout:       90 * time.Second,
			ResponseHeaderTimeout: cfg.VerifyTimeout,
		},
	}, nil
}

// me asks with the user's token alone. Every setting below closes a way by which
// the SDK would otherwise answer as somebody else or ask something else first:
// the app's DATABRICKS_CLIENT_ID and -SECRET (Loaders, AuthType, Credentials), a
// profile file (Loaders), the host's metadata document, fetched without our
// deadline (HostMetadataResolver).
func (w *workspace) me(ctx context.Context, token string) (identity, error) {
	seconds := max(1, int(w.timeout.Seconds()))
	api, err := client.New(&config.Config{
		Host:                 w.host,
		Token:                token,
		AuthType:             "pat",
		Credentials:          config.PatCredentials{},
		Loaders:              []config.Loader{nothing{}},
		HostMetadataResolver: noMetadata,
		RetryTimeoutSeconds:  seconds,
		HTTPTimeoutSeconds:   seconds,
		HTTPTransport:        w.transport,
	})
	if err != nil {
		return identity{}, fmt.Errorf("workspace client: %w", err)
	}
	user, err := iam.NewCurrentUser(api).Me(ctx)
	if err != nil {
		return identity{}, err
	}
	if user.UserName == "" || len(user.UserName) > event.MaxText {
		return identity{}, errors.New("workspace answered without a usable user name")
	}
	// An account that was switched off says so; one that says nothing is active.
	if !user.Active && slices.Contains(user.ForceSendFields, "Active") {
		return identity{}, errInactive
	}
	who := identity{userName: user.UserName}
	for _, group := range user.Groups {
		who.groups = append(who.groups, group.Display)
	}
	return who, nil
}

// errInactive is the answer about the account of somebody who has left.
var errInactive = errors.New("the workspace says that the account is not active")

// nothing is a config.Loader that loads nothing.
type nothing struct{}

func (nothing) Name() string                   { return "nothing" }
func (nothing) Configure(*config.Config) error { return nil }

func noMetadata(context.Context, string) (*config.HostMetadata, error) { return nil, nil }

// refusal gives a failed question its code. Only the workspace's own 401 and 403
// are the caller's fault; everything else denies without judging.
func refusal(err error) *fault.Error {
	switch {
	case errors.Is(err, errInactive):
		return fault.Wrap(err, fault.Unauthenticated, "The account is not active")
	case errors.Is(err, apierr.ErrUnauthenticated):
		return fault.Wrap(err, fault.Unauthenticated, messageBadToken)
	case errors.Is(err, apierr.ErrPermissionDenied):
		return fault.Wrap(err, fault.Forbidden, messageUndescribed)
	default:
		return fault.Wrap(err, fault.Unavailable, MessageUnavailable).After(retryAfter)
	}
}

// statedExpiry reads the exp claim of a JWT. It is not verified, and need not be:
// it only ever shortens how long the workspace's own answer is believed.
func statedExpiry(token string) (time.Time, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}, false // not a JWT after all: the workspace decides
	}
	var claims struct {
		Expiry int64 `json:"exp"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil || claims.Expiry <= 0 {
		return time.Time{}, false
	}
	return time.Unix(claims.Expiry, 0), true
}
