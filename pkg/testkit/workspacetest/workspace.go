package workspacetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// The one service principal the workspace knows.
const (
	ClientID     = "5f2b4c1e-0000-4000-8000-000000000001"
	ClientSecret = "a-client-secret"
	// Endpoint and Instance are the Lakebase computes it may log in to.
	Endpoint = "projects/lakepulse/branches/production/endpoints/primary"
	Instance = "lakepulse"
)

// Workspace is a fake Databricks workspace. Safe for concurrent use.
type Workspace struct {
	server *httptest.Server

	mu       sync.Mutex
	life     time.Duration // of the tokens minted from now on
	tokens   map[string]grant
	users    map[string]User // by user token
	failures map[string]int  // by path: the status to answer instead
	calls    map[string]int  // by path
	granted  int             // tokens of all kinds
	minted   int             // database tokens
	unknown  []string
}

type grant struct {
	kind   string // "workspace" or "database"
	expiry time.Time
}

// User is what the workspace says of a token's owner.
type User struct {
	Name   string
	Groups []string
}

// Start starts a workspace whose tokens live for life.
func Start(t testing.TB, life time.Duration) *Workspace {
	w := &Workspace{
		life:     life,
		tokens:   make(map[string]grant),
		users:    make(map[string]User),
		failures: make(map[string]int),
		calls:    make(map[string]int),
	}
	w.server = httptest.NewServer(w.routes())
	t.Cleanup(w.server.Close)
	return w
}

// URL is the workspace's address: DATABRICKS_HOST.
func (w *Workspace) URL() string { return w.server.URL }

// Env is the environment Databricks Apps would give an app of this workspace.
func (w *Workspace) Env() map[string]string {
	return map[string]string{
		"DATABRICKS_HOST":          w.URL(),
		"DATABRICKS_WORKSPACE_ID":  "4242",
		"DATABRICKS_APP_NAME":      "lakepulse",
		"DATABRICKS_CLIENT_ID":     ClientID,
		"DATABRICKS_CLIENT_SECRET": ClientSecret,
	}
}

// AddUser makes token the access token of user.
func (w *Workspace) AddUser(token string, user User) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.users[token] = user
}

// SetLife changes how long tokens minted from now on live.
func (w *Workspace) SetLife(life time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.life = life
}

// Fail has every call of path answered with status; 0 ends that.
func (w *Workspace) Fail(path string, status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures[path] = status
}

// Revoke makes every database token minted so far void, though not expired: what
// a role dropped and made anew does.
func (w *Workspace) Revoke() {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.tokens, func(_ string, g grant) bool { return g.kind == "database" })
}

// Minted is how many database tokens have been handed out.
func (w *Workspace) Minted() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.minted
}

// Calls is how often path was called.
func (w *Workspace) Calls(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[path]
}

// Unknown lists the calls this workspace has no answer for.
func (w *Workspace) Unknown() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.unknown...)
}

// Accepts reports whether text is a password for Postgres at this moment.
func (w *Workspace) Accepts(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	g, ok := w.tokens[text]
	return ok && time.Now().Before(g.expiry)
}

// The paths of the calls.
const (
	PathMe                 = "/api/2.0/preview/scim/v2/Me"
	PathDiscovery          = "/oidc/.well-known/oauth-authorization-server"
	PathToken              = "/oidc/v1/token"
	PathEndpointCredential = "/api/2.0/postgres/credentials"
	PathInstanceCredential = "/api/2.0/database/credentials"
	PathApp                = "/api/2.0/apps/"
)

func (w *Workspace) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+PathMe, w.me)
	mux.HandleFunc("GET "+PathDiscovery, w.discovery)
	mux.HandleFunc("POST "+PathToken, w.token)
	mux.HandleFunc("POST "+PathEndpointCredential, w.endpointCredential)
	mux.HandleFunc("POST "+PathInstanceCredential, w.instanceCredential)
	mux.HandleFunc("GET "+PathApp+"{name}", w.app)
	mux.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.unknown = append(w.unknown, r.Method+" "+r.URL.Path)
		w.mu.Unlock()
		refuse(rw, http.StatusNotFound, "NOT_FOUND")
	})
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.calls[r.URL.Path]++
		status := w.failures[r.URL.Path]
		w.mu.Unlock()
		if status != 0 {
			refuse(rw, status, "INTERNAL_ERROR")
			return
		}
		mux.ServeHTTP(rw, r)
	})
}

func (w *Workspace) me(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	user, ok := w.users[bearer(r)]
	w.mu.Unlock()
	if !ok && w.holds(bearer(r)) {
		user, ok = User{Name: ClientID}, true
	}
	if !ok {
		refuse(rw, http.StatusUnauthorized, "UNAUTHENTICATED")
		return
	}
	groups := make([]map[string]string, 0, len(user.Groups))
	for _, name := range user.Groups {
		groups = append(groups, map[string]string{"display": name, "type": "direct"})
	}
	reply(rw, map[string]any{"id": "77", "userName": user.Name, "active": true, "groups": groups})
}

func (w *Workspace) discovery(rw http.ResponseWriter, _ *http.Request) {
	reply(rw, map[string]any{
		"authorization_endpoint": w.URL() + "/oidc/v1/authorize",
		"token_endpoint":         w.URL() + PathToken,
	})
}

// token serves the client credentials of the service principal, and the exchange
// of a token it has for one of an app's audience.
func (w *Workspace) token(rw http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		refuse(rw, http.StatusBadRequest, "INVALID_PARAMETER_VALUE")
		return
	}
	allowed := false
	switch r.Form.Get("grant_type") {
	case "client_credentials":
		id, secret, _ := r.BasicAuth()
		allowed = id == ClientID && secret == ClientSecret
	case "urn:ietf:params:oauth:grant-type:token-exchange":
		allowed = w.holds(r.Form.Get("subject_token")) && r.Form.Get("audience") != ""
	}
	if !allowed {
		refuse(rw, http.StatusUnauthorized, "invalid_client")
		return
	}
	text, expiry := w.grant("workspace")
	reply(rw, map[string]any{"access_token": text, "token_type": "Bearer",
		"expires_in": max(1, int(time.Until(expiry).Round(time.Second).Seconds()))})
}

func (w *Workspace) endpointCredential(rw http.ResponseWriter, r *http.Request) {
	var body struct {
		Endpoint string `json:"endpoint"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Endpoint != Endpoint {
		refuse(rw, http.StatusNotFound, "NOT_FOUND")
		return
	}
	w.credential(rw, r, "expire_time")
}

func (w *Workspace) instanceCredential(rw http.ResponseWriter, r *http.Request) {
	var body struct {
		Names     []string `json:"instance_names"`
		RequestID string   `json:"request_id"`
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	if err != nil || len(body.Names) != 1 || body.Names[0] != Instance || body.RequestID == "" {
		refuse(rw, http.StatusNotFound, "NOT_FOUND")
		return
	}
	w.credential(rw, r, "expiration_time")
}

func (w *Workspace) credential(rw http.ResponseWriter, r *http.Request, expiryField string) {
	if !w.holds(bearer(r)) {
		refuse(rw, http.StatusUnauthorized, "UNAUTHENTICATED")
		return
	}
	text, expiry := w.grant("database")
	reply(rw, map[string]any{"token": text, expiryField: expiry.UTC().Format(time.RFC3339Nano)})
}

func (w *Workspace) app(rw http.ResponseWriter, r *http.Request) {
	if !w.holds(bearer(r)) {
		refuse(rw, http.StatusUnauthorized, "UNAUTHENTICATED")
		return
	}
	reply(rw, map[string]any{"name": r.PathValue("name"), "url": w.URL(), "oauth2_app_client_id": "app-client-id"})
}

func (w *Workspace) grant(kind string) (text string, expiry time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if kind == "database" {
		w.minted++
	}
	w.granted++
	text, expiry = fmt.Sprintf("%s-token-%d", kind, w.granted), time.Now().Add(w.life)
	w.tokens[text] = grant{kind: kind, expiry: expiry}
	return text, expiry
}

// holds reports whether text is a token for the workspace's own calls at this moment.
func (w *Workspace) holds(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	g, ok := w.tokens[text]
	return ok && g.kind == "workspace" && time.Now().Before(g.expiry)
}

func bearer(r *http.Request) string {
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

func refuse(rw http.ResponseWriter, status int, code string) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(map[string]string{"error_code": code, "message": code}) // the client went away
}

func reply(rw http.ResponseWriter, body any) {
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(body) // the client went away
}
