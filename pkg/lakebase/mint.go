package lakebase

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/databricks/databricks-sdk-go/apierr"
	"github.com/databricks/databricks-sdk-go/client"
	"github.com/databricks/databricks-sdk-go/config"
	"github.com/databricks/databricks-sdk-go/service/database"
	"github.com/databricks/databricks-sdk-go/service/postgres"
	"github.com/google/uuid"
)

// token is a password and the time from which logins with it are refused.
type token struct {
	text   string
	expiry time.Time
}

// unsaidLife is how long a token without an expiry is believed: far less than
// the hour tokens live, so that a format we misread costs calls, not logins.
const unsaidLife = 10 * time.Minute

// minter asks the workspace for tokens. It is built on first use, because
// building it may already ask the workspace something.
type minter struct {
	cfg       Config
	transport http.RoundTripper // nil: the SDK's own

	mu  sync.Mutex
	api *client.DatabricksClient
}

func (m *minter) client() (*client.DatabricksClient, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.api != nil {
		return m.api, nil
	}
	seconds := max(1, int(m.cfg.Timeout.Seconds()))
	cfg := &config.Config{
		Host:                 m.cfg.Host,
		WorkspaceID:          m.cfg.WorkspaceID,
		HTTPTimeoutSeconds:   seconds,
		RetryTimeoutSeconds:  seconds, // the SDK's default is five minutes
		HTTPTransport:        m.transport,
		HostMetadataResolver: noMetadata, // would be fetched without our deadline
	}
	if m.cfg.ClientID != "" {
		// Named outright: the SDK's chain of guesses takes another way in when this one
		// fails for a moment, and stays with it.
		cfg.ClientID, cfg.ClientSecret = m.cfg.ClientID, m.cfg.ClientSecret
		cfg.AuthType, cfg.Credentials = "oauth-m2m", config.M2mCredentials{}
	}
	api, err := client.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("workspace client: %w", err)
	}
	m.api = api
	return api, nil
}

func noMetadata(context.Context, string) (*config.HostMetadata, error) { return nil, nil }

// mint asks for a new token, once.
func (m *minter) mint(ctx context.Context) (token, error) {
	api, err := m.client()
	if err != nil {
		return token{}, err
	}
	var t token
	switch {
	case m.cfg.Endpoint != "":
		t, err = fromEndpoint(ctx, api, m.cfg.Endpoint)
	case m.cfg.Instance != "":
		t, err = fromInstance(ctx, api, m.cfg.Instance)
	default:
		t, err = fromWorkspace(ctx, api)
	}
	if err == nil && t.text == "" {
		err = errors.New("the workspace answered without a token")
	}
	return t, err
}

func fromEndpoint(ctx context.Context, api *client.DatabricksClient, endpoint string) (token, error) {
	got, err := postgres.NewPostgres(api).GenerateDatabaseCredential(ctx,
		postgres.GenerateDatabaseCredentialRequest{Endpoint: endpoint})
	if err != nil {
		return token{}, fmt.Errorf("credential for endpoint %s: %w", endpoint, err)
	}
	t := token{text: got.Token}
	if got.ExpireTime != nil {
		t.expiry = got.ExpireTime.AsTime()
	}
	return t, nil
}

func fromInstance(ctx context.Context, api *client.DatabricksClient, instance string) (token, error) {
	got, err := database.NewDatabase(api).GenerateDatabaseCredential(ctx, database.GenerateDatabaseCredentialRequest{
		InstanceNames: []string{instance}, RequestId: uuid.NewString()})
	if err != nil {
		return token{}, fmt.Errorf("credential for instance %s: %w", instance, err)
	}
	expiry, err := time.Parse(time.RFC3339, got.ExpirationTime)
	if err != nil {
		expiry = time.Time{} // a token all the same; its life is then guessed short
	}
	return token{text: got.Token, expiry: expiry}, nil
}

func fromWorkspace(ctx context.Context, api *client.DatabricksClient) (token, error) {
	got, err := api.Config.GetTokenSource().Token(ctx)
	if err != nil {
		return token{}, fmt.Errorf("workspace token: %w", err)
	}
	return token{text: got.AccessToken, expiry: got.Expiry}, nil
}

// worthRetrying reports whether asking again may succeed. A bad request, refused
// credentials, a missing right and a missing endpoint stay refused.
func worthRetrying(err error) bool {
	for _, refusal := range []error{apierr.ErrBadRequest, apierr.ErrUnauthenticated, apierr.ErrPermissionDenied, apierr.ErrNotFound} {
		if errors.Is(err, refusal) {
			return false
		}
	}
	return true
}
