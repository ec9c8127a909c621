package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/apps"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// bundle is the service over a real database and a real log, and the keys as
// ingest sees them.
type bundle struct {
	t        *testing.T
	js       jetstream.JetStream
	registry *apps.Registry
	readers  *apps.Readers
	mirror   *mirror
	handler  http.Handler
	caller   auth.Caller
	clock    *testkit.Clock
}

func (b *bundle) Authenticate(*http.Request) (auth.Caller, error) { return b.caller, nil }

func setup(t *testing.T) *bundle {
	t.Helper()
	nc, err := testkit.NATS(t).Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	b := &bundle{t: t, caller: auth.Caller{Kind: auth.KindUser, UserID: "ada@example.com", Admin: true}, clock: testkit.NewClock(time.Now().UTC())}
	b.js, err = jetstream.New(nc)
	require.NoError(t, err)
	b.registry = apps.NewRegistry(openPool(t, testkit.Database(t)), b.clock.Now)
	b.readers = apps.NewReaders(b.registry)
	b.mirror = newMirror(b.registry, b.js, time.Hour, testkit.Logger(t))
	s := &Service{registry: b.registry, mirror: b.mirror}
	b.handler = httpapi.NewHandler(httpapi.HandlerParams{Routes: s.Routes(), Auth: b, Readers: b.readers, Log: testkit.Logger(t)})
	return b
}

func openPool(t *testing.T, dsn string) *pgxpool.Pool {
	t.Helper()
	cfg := postgres.DefaultConfig()
	cfg.URL = dsn
	pool, err := postgres.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func (b *bundle) startMirror() {
	b.t.Helper()
	_, err := auth.EnsureBucket(b.t.Context(), b.js, 1)
	require.NoError(b.t, err)
	b.mirror.start()
	b.t.Cleanup(b.mirror.stop)
}

// call sends a request and reads the answer into body.
func (b *bundle) call(method, path, send string, status int, body any) {
	b.t.Helper()
	rec := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(b.t.Context(), method, "http://127.0.0.1"+path, strings.NewReader(send))
	b.handler.ServeHTTP(rec, r)
	require.Equal(b.t, status, rec.Code, rec.Body.String())
	if body != nil {
		require.NoError(b.t, json.Unmarshal(rec.Body.Bytes(), body))
	}
}

func TestAdministration(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startMirror()
	verifier := auth.StartVerifier(b.js, testkit.Logger(t))
	t.Cleanup(verifier.Close)
	var list api.AdminAppList
	var key api.CreatedKey

	b.call("POST", "/api/v1/admin/apps", `{"app":"shop","note":"the web shop"}`, 200, &list)
	require.Len(t, list.Apps, 1)
	require.Equal(t, "ada@example.com", list.Apps[0].CreatedBy)

	t.Run("a key opens as soon as it is answered, and only its id is listed", func(t *testing.T) {
		b.call("POST", "/api/v1/admin/apps/shop/keys", `{"note":"blue"}`, 201, &key)
		testkit.Eventually(t, "the key to open", func() bool { _, err := verifier.Verify(key.Key); return err == nil })
		rec := httptest.NewRecorder()
		b.handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "http://127.0.0.1/api/v1/admin/apps", nil))
		require.Contains(t, rec.Body.String(), key.ID)
		require.NotContains(t, rec.Body.String(), key.Key[len(key.Key)-20:])
	})

	t.Run("a revoked key closes", func(t *testing.T) {
		b.call("POST", "/api/v1/admin/keys/"+key.ID+"/revoke", "", 200, &list)
		require.NotNil(t, list.Apps[0].Keys[0].RevokedAt)
		testkit.Eventually(t, "the key to close", func() bool {
			_, err := verifier.Verify(key.Key)
			return fault.CodeOf(err) == fault.Unauthenticated
		})
	})

	t.Run("a service principal sends for its app, in any case", func(t *testing.T) {
		b.call("POST", "/api/v1/admin/apps/shop/principals", `{"principal":"ABCD-1"}`, 200, &list)
		require.Equal(t, []string{"abcd-1"}, list.Apps[0].Principals)
		testkit.EventuallyEqual(t, "shop", func() string { app, _ := verifier.AppOf("Abcd-1"); return app })
		b.call("POST", "/api/v1/admin/apps/shop/principals/remove", `{"principal":"ABCD-1"}`, 200, nil)
		testkit.EventuallyEqual(t, "", func() string { app, _ := verifier.AppOf("abcd-1"); return app })
	})

	t.Run("a reader reads one app until the right is taken away", func(t *testing.T) {
		bob := auth.Caller{Kind: auth.KindUser, UserID: "Bob@Example.com", Groups: []string{"Sales"}}
		b.call("POST", "/api/v1/admin/apps", `{"app":"billing"}`, 200, nil)
		b.call("POST", "/api/v1/admin/apps/shop/readers", `{"type":"user","name":"bob@example.com"}`, 200, nil)
		b.call("POST", "/api/v1/admin/apps/billing/readers", `{"type":"group","name":"sales"}`, 200, &list)
		require.Equal(t, []string{"billing", "shop"}, b.readable(bob))
		require.Empty(t, b.readable(auth.Caller{Kind: auth.KindUser, UserID: "sales"}), "a user's name is no group's")
		require.Empty(t, b.readable(auth.Caller{Kind: auth.KindService, UserID: "bob@example.com"}), "a service principal reads nothing")
		b.call("POST", "/api/v1/admin/apps/billing/readers/remove", `{"type":"group","name":"Sales"}`, 200, nil)
		b.clock.Advance(rightsLastAtMost)
		require.Equal(t, []string{"shop"}, b.readable(bob))
	})

	t.Run("an app is removed with all its rights", func(t *testing.T) {
		b.call("POST", "/api/v1/admin/apps/shop/keys", `{}`, 201, &key)
		testkit.Eventually(t, "the key to open", func() bool { _, err := verifier.Verify(key.Key); return err == nil })
		b.call("DELETE", "/api/v1/admin/apps/shop", "", 200, &list)
		require.Len(t, list.Apps, 1)
		testkit.Eventually(t, "the key to close", func() bool { _, err := verifier.Verify(key.Key); return err != nil })
		b.call("DELETE", "/api/v1/admin/apps/shop", "", 404, nil)
	})
}

const rightsLastAtMost = 6 * time.Second

func (b *bundle) readable(caller auth.Caller) []string {
	b.t.Helper()
	found, err := b.readers.ReadableApps(b.t.Context(), caller)
	require.NoError(b.t, err)
	return found
}

func TestRefusedChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.call("POST", "/api/v1/admin/apps", `{"app":"shop"}`, 200, nil)
	cases := map[string]struct {
		path, body string
		status     int
	}{
		"a name no event could carry":    {"/apps", `{"app":"a b"}`, 400},
		"a member nobody knows":          {"/apps", `{"app":"a","owner":"me"}`, 400},
		"no JSON":                        {"/apps", `app=a`, 400},
		"two documents":                  {"/apps", `{"app":"a"}{"app":"b"}`, 400},
		"a note that is too long":        {"/apps", `{"app":"a","note":"` + strings.Repeat("x", 201) + `"}`, 400},
		"a body that is too long":        {"/apps", `{"app":"` + strings.Repeat("x", 70<<10) + `"}`, 413},
		"a key for no app":               {"/apps/a%20b/keys", `{}`, 400},
		"a principal for an unknown app": {"/apps/other/principals", `{"principal":"p"}`, 404},
		"a principal without a name":     {"/apps/shop/principals", `{"principal":" "}`, 400},
		"a reader of another type":       {"/apps/shop/readers", `{"type":"robot","name":"r"}`, 400},
		"a reader of an unknown app":     {"/apps/other/readers", `{"type":"user","name":"r"}`, 404},
		"a reader who is none":           {"/apps/shop/readers/remove", `{"type":"user","name":"r"}`, 404},
		"a key that is none":             {"/keys/aaaaaaaaaaaa/revoke", ``, 404},
		"a member where none is taken":   {"/keys/aaaaaaaaaaaa/revoke", `{"note":"x"}`, 400},
		"no body where one is needed":    {"/apps", ``, 400},
		"a parameter where none is":      {"/apps?app=shop", `{"app":"a"}`, 400},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b.call("POST", "/api/v1/admin"+c.path, c.body, c.status, nil)
		})
	}
	t.Run("the member that was meant is named", func(t *testing.T) {
		var refused struct {
			Details map[string]string `json:"details"`
		}
		b.call("POST", "/api/v1/admin/apps", `{"ap":"a"}`, 400, &refused)
		require.Equal(t, map[string]string{"field": "ap", "rule": "unknown_member", "nearest": "app"}, refused.Details)
	})
	t.Run("everybody but an administrator", func(t *testing.T) {
		for _, caller := range []auth.Caller{{Kind: auth.KindUser, UserID: "bob"}, {Kind: auth.KindApp, App: "shop"}, {Kind: auth.KindService, UserID: "p"}} {
			b.caller = caller
			b.call("GET", "/api/v1/admin/apps", "", 403, nil)
			b.call("POST", "/api/v1/admin/apps/shop/keys", `{}`, 403, nil)
		}
	})
}

func TestMirror(t *testing.T) {
	t.Parallel()

	t.Run("a new and empty log is filled again", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		plain, _, err := b.registry.CreateKey(t.Context(), "shop", "", apps.CommandLine)
		require.NoError(t, err)
		b.mirror.every = 20 * time.Millisecond
		b.startMirror()
		verifier := auth.StartVerifier(b.js, testkit.Logger(t))
		t.Cleanup(verifier.Close)
		testkit.Eventually(t, "the key to open", func() bool { _, err := verifier.Verify(plain); return err == nil })
		require.NoError(t, b.js.DeleteKeyValue(t.Context(), auth.Bucket))
		_, err = auth.EnsureBucket(t.Context(), b.js, 1)
		require.NoError(t, err)
		kv, err := b.js.KeyValue(t.Context(), auth.Bucket)
		require.NoError(t, err)
		testkit.Eventually(t, "the bucket to be filled", func() bool {
			records, err := auth.NewMirror(kv).Records(context.WithoutCancel(t.Context()))
			return err == nil && len(records) == 1
		})
	})

	t.Run("keys that only the log has are taken over once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		kv, err := auth.EnsureBucket(t.Context(), b.js, 1)
		require.NoError(t, err)
		plain, old := auth.NewKey("shop", "from before", b.clock.Now())
		data, err := json.Marshal(old)
		require.NoError(t, err)
		_, err = kv.Put(t.Context(), old.ID, data)
		require.NoError(t, err)
		b.startMirror()
		b.mirror.follow(t.Context())
		list, err := b.registry.List(t.Context())
		require.NoError(t, err)
		require.Equal(t, old.ID, list[0].Keys[0].ID)

		_, forged := auth.NewKey("shop", "forged", b.clock.Now())
		data, err = json.Marshal(forged)
		require.NoError(t, err)
		_, err = kv.Put(t.Context(), forged.ID, data)
		require.NoError(t, err)
		b.mirror.follow(t.Context())
		records, err := auth.NewMirror(kv).Records(t.Context())
		require.NoError(t, err)
		require.Len(t, records, 1, "a key that the database never had is removed")
		verifier := auth.StartVerifier(b.js, testkit.Logger(t))
		t.Cleanup(verifier.Close)
		testkit.Eventually(t, "the old key to open", func() bool { _, err := verifier.Verify(plain); return err == nil })
	})
}
