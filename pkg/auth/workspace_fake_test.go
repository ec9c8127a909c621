package auth

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeWorkspace answers the current-user call as a workspace does.
type fakeWorkspace struct {
	*httptest.Server
	asked atomic.Int64 // current-user calls
	other atomic.Int64 // calls of anything else, which there must not be

	mu    sync.Mutex
	users map[string]map[string]any // by token
	fail  http.HandlerFunc          // instead of an answer
}

func newFakeWorkspace(t *testing.T) *fakeWorkspace {
	w := &fakeWorkspace{users: map[string]map[string]any{
		"admin-token":      scimUser("ada@example.com", "users", "Admins"),
		"user-token":       scimUser("bob@example.com", "users"),
		"groupless-token":  {"userName": "eve@example.com"},
		"nameless-token":   {"groups": []any{map[string]any{"display": "admins"}}},
		"principal-token":  scimUser("5f2b4c1e-0000-4000-8000-000000000001", "users"),
		"stranger-token":   scimUser("5f2b4c1e-0000-4000-8000-0000000000ff", "users"),
		"similar-token":    scimUser("mia@example.com", "not-admins", "admins2"),
		"own-group-token":  scimUser("kim@example.com", "platform team"),
		"lookalike-token":  scimUser("lou@example.com", "ADM\u0130NS", "\u017fadmins", "admin\u017f"),
		"inactive-token":   {"userName": "old@example.com", "active": false, "groups": []any{map[string]any{"display": "admins"}}},
		"app-secret-token": scimUser("the-app-itself", "admins"),
	}}
	w.Server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.Close)
	return w
}

func scimUser(name string, groups ...string) map[string]any {
	var refs []any
	for _, g := range groups {
		refs = append(refs, map[string]any{"display": g, "value": "1", "type": "direct"})
	}
	return map[string]any{"id": "77", "userName": name, "displayName": "5f2b4c1e-0000-4000-8000-000000000001",
		"active": true, "groups": refs}
}

func (w *fakeWorkspace) serve(rw http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || r.URL.Path != "/api/2.0/preview/scim/v2/Me" {
		w.other.Add(1)
		http.NotFound(rw, r)
		return
	}
	w.asked.Add(1)
	w.mu.Lock()
	fail, user := w.fail, w.users[bearerOf(r)]
	w.mu.Unlock()
	if fail != nil {
		fail(rw, r)
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	if user == nil {
		rw.WriteHeader(http.StatusUnauthorized)
		user = map[string]any{"error_code": "UNAUTHENTICATED", "message": "Credential was not sent or was of an unsupported type"}
	}
	_ = json.NewEncoder(rw).Encode(user) // the client went away: its own test says so
}

func (w *fakeWorkspace) failWith(handler http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = handler
}

func (w *fakeWorkspace) set(token string, user map[string]any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.users[token] = user
}

func answer(status int, body string) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(status)
		_, _ = rw.Write([]byte(body)) // the client went away: its own test says so
	}
}

func request(t *testing.T, headers map[string]string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/metrics/performance", nil)
	require.NoError(t, err)
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	return r
}
