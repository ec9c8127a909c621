package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

type callerIs auth.Caller

func (c callerIs) Authenticate(*http.Request) (auth.Caller, error) { return auth.Caller(c), nil }

// rights are the apps of each user.
type rights map[string][]string

func (r rights) ReadableApps(_ context.Context, caller auth.Caller) ([]string, error) {
	if caller.UserID == "lost" {
		return nil, fault.New(fault.Unavailable, "Data temporarily unavailable")
	}
	return r[caller.UserID], nil
}

func TestReaders(t *testing.T) {
	t.Parallel()
	readers := rights{"bob": {"billing", "shop"}}
	user := func(id string) auth.Caller { return auth.Caller{Kind: auth.KindUser, UserID: id} }
	cases := map[string]struct {
		caller auth.Caller
		path   string
		status int
		apps   string
	}{
		"an administrator reads everything":           {auth.Caller{Kind: auth.KindUser, UserID: "ada", Admin: true}, "/one", 200, ""},
		"a reader reads their app":                    {user("bob"), "/one?app=shop", 200, "billing,shop,"},
		"a reader reads no other app":                 {user("bob"), "/one?app=secret", 403, ""},
		"a reader does not read all apps":             {user("bob"), "/one", 403, ""},
		"an empty app is all apps":                    {user("bob"), "/one?app=", 403, ""},
		"a second app does not hide behind a first":   {user("bob"), "/one?app=shop&app=secret", 403, ""},
		"nor does one in another case":                {user("bob"), "/one?app=Shop", 403, ""},
		"a stranger reads nothing":                    {user("eve"), "/one?app=shop", 403, ""},
		"lists of apps know whose they are":           {user("bob"), "/any", 200, "billing,shop,"},
		"lists of apps are not for strangers":         {user("eve"), "/any", 403, ""},
		"an app's key reads nothing":                  {auth.Caller{Kind: auth.KindApp, App: "shop"}, "/one?app=shop", 403, ""},
		"without an answer on rights nothing is read": {user("lost"), "/one?app=shop", 503, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endpoint := func(path string, access httpapi.Access) httpapi.Route {
				return httpapi.Endpoint[struct{}, string]{
					Method: http.MethodGet, Path: path, Access: access, Query: []string{"app"}, Decode: httpapi.NoRequest,
					Execute: func(_ context.Context, caller auth.Caller, _ struct{}) (string, error) {
						list := ""
						for _, app := range caller.ReadableApps {
							list += app + ","
						}
						return list, nil
					},
				}.Route()
			}
			handler := httpapi.NewHandler(httpapi.HandlerParams{
				Routes: []httpapi.Route{endpoint("/one", httpapi.Reader), endpoint("/any", httpapi.AnyReader)},
				Auth:   callerIs(c.caller), Readers: readers, Log: testkit.Logger(t),
			})
			rec := httptest.NewRecorder()
			handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1"+c.path, nil))
			require.Equal(t, c.status, rec.Code, rec.Body.String())
			if c.status == http.StatusOK {
				require.JSONEq(t, `"`+c.apps+`"`, rec.Body.String())
			}
		})
	}
}
