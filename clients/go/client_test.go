package lakepulse

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAClientThatIsOffCostsNothing(t *testing.T) {
	disabled, err := New(Config{URL: "http://127.0.0.1:1", Disabled: true})
	require.NoError(t, err)
	unset, err := New(Config{})
	require.NoError(t, err)
	h := status(200)
	for name, lp := range map[string]*Client{"disabled": disabled, "unset": unset, "nil": nil} {
		t.Run(name, func(t *testing.T) {
			require.IsType(t, h, lp.Middleware(h))
			require.NoError(t, lp.Track(nil, UsageEvent{}))
			require.Zero(t, lp.Stats())
			require.NoError(t, lp.Close(context.Background()))
			rec := httptest.NewRecorder()
			lp.Relay(RelayConfig{}).ServeHTTP(rec, httptest.NewRequest(http.MethodPost, pathUsage, nil))
			require.Equal(t, http.StatusServiceUnavailable, rec.Code)
		})
	}
}

func TestConfigMistakesAreToldAtOnce(t *testing.T) {
	for name, cfg := range map[string]Config{
		"URL must be":           {URL: "ftp://x"},
		"cannot be parsed":      {URL: "http://a b"},
		"no credentials":        {URL: "http://user:pass@host"},
		"App must match":        {App: "-"},
		"required with a Sink":  {Sink: acceptAll{}},
		"Key must be":           {Key: "lp\n"},
		"DevUser is for":        {Key: "lp_x", DevUser: "me"},
		"DevUser must be":       {DevUser: "m\u00e9"},
		"BatchSize must be":     {BatchSize: 1001},
		"BufferSize must be":    {BufferSize: -1},
		"MaxEndpoints must be":  {MaxEndpoints: -1},
		"FlushInterval must be": {FlushInterval: -1},
	} {
		lp, err := New(cfg)
		require.ErrorContains(t, err, name)
		require.NotContains(t, err.Error(), "pass")
		require.Nil(t, lp)
	}
}

func TestFromEnv(t *testing.T) {
	t.Setenv("LAKEPULSE_URL", "http://127.0.0.1:8080")
	t.Setenv("LAKEPULSE_API_KEY", "")
	t.Setenv("LAKEPULSE_APP", "")
	t.Setenv("LAKEPULSE_APP_VERSION", "2")
	t.Setenv("LAKEPULSE_INSTANCE", "i")
	t.Setenv("LAKEPULSE_DEV_USER", "me")
	t.Setenv("DATABRICKS_APP_NAME", "orders")
	require.Equal(t, Config{URL: "http://127.0.0.1:8080", App: "orders", AppVersion: "2", Instance: "i", DevUser: "me"}, FromEnv())
	t.Setenv("LAKEPULSE_API_KEY", "lp_x")
	require.Empty(t, FromEnv().App, "the key says which app this is")
}

func TestRingLosesAndDoublesNothing(t *testing.T) {
	const producers, each = 8, 20000
	r := newRing[int](64)
	var dropped, taken sync.Map
	var wg sync.WaitGroup
	for p := range producers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				v := p*each + i
				if pos, place := r.claim(); place != nil {
					*place = v
					r.commit(pos)
				} else {
					dropped.Store(v, true)
				}
			}
		}()
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		r.close()
		close(done)
	}()
	buf := make([]int, 10)
	for ended := false; ; {
		n := r.pop(buf)
		for _, v := range buf[:n] {
			_, twice := taken.LoadOrStore(v, true)
			require.False(t, twice)
		}
		if n == 0 && ended {
			break
		}
		select {
		case <-done:
			ended = true
		default:
		}
	}
	count := func(m *sync.Map) (n int) {
		m.Range(func(any, any) bool { n++; return true })
		return n
	}
	require.Equal(t, producers*each, count(&dropped)+count(&taken))
	require.EqualValues(t, count(&taken), r.pushed())
	_, place := r.claim()
	require.Nil(t, place, "closed")
	require.True(t, r.full())
}

func TestPathNamesAreBounded(t *testing.T) {
	names := pathNames{limit: 2, seen: map[string]struct{}{}}
	require.Equal(t, []string{"/a", "/b", otherEndpoint, "/a"},
		[]string{names.name("/a"), names.name("/b"), names.name("/c"), names.name("/a")})
}

func TestTraceIDs(t *testing.T) {
	const id = "0af7651916cd43dd8448eb211c80319c"
	for in, want := range map[string]string{
		"00-" + id + "-b7ad6b7169203331-01": id, "": "", "00-" + id: "", "00-" + strings.ToUpper(id) + "-b7ad6b7169203331-01": "",
		"00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01": "", "00x" + id + "-b7ad6b7169203331-01": "",
	} {
		require.Equal(t, want, traceID(in), in)
	}
}
