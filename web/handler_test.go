package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"
)

func TestHandler(t *testing.T) {
	t.Parallel()
	script := strings.Repeat("console.log(1);", 100)
	built := Handler(fstest.MapFS{
		"index.html":        {Data: []byte("<title>Application Metrics</title>")},
		"assets/app-1a2.js": {Data: []byte(script)},
		"lakepulse.js":      {Data: []byte("tracker")},
		".gitkeep":          {},
	})
	get := func(h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec
	}

	t.Run("pages of the browser's own routes are index.html, asked for anew", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/", "/index.html", "/usage", "/endpoints/GET/orders", "/../usage"} {
			rec := get(built, path)
			require.Equal(t, http.StatusOK, rec.Code, path)
			require.Contains(t, rec.Body.String(), "Application Metrics", path)
			require.Equal(t, "no-cache", rec.Header().Get("Cache-Control"), path)
			require.Equal(t, "text/html; charset=utf-8", rec.Header().Get("Content-Type"), path)
		}
	})
	t.Run("assets are cached for ever and compressed", func(t *testing.T) {
		t.Parallel()
		rec := get(built, "/assets/app-1a2.js", "Accept-Encoding", "br, gzip")
		require.Contains(t, rec.Header().Get("Cache-Control"), "immutable")
		require.Equal(t, "gzip", rec.Header().Get("Content-Encoding"))
		z, err := gzip.NewReader(rec.Body)
		require.NoError(t, err)
		text := new(strings.Builder)
		_, err = z.WriteTo(text)
		require.NoError(t, err)
		require.Equal(t, script, text.String())
		require.Empty(t, get(built, "/assets/app-1a2.js", "Accept-Encoding", "gzip;q=0").Header().Get("Content-Encoding"))
	})
	t.Run("the tracker is there, and unchanged is 304", func(t *testing.T) {
		t.Parallel()
		first := get(built, "/lakepulse.js")
		require.Equal(t, "tracker", first.Body.String())
		require.Equal(t, http.StatusNotModified, get(built, "/lakepulse.js", "If-None-Match", first.Header().Get("ETag")).Code)
	})
	t.Run("a missing file is a 404 and no page", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/assets/app-old.js", "/favicon.ico", "/.gitkeep", "/assets/.gitkeep"} {
			require.Equal(t, http.StatusNotFound, get(built, path).Code, path)
		}
	})
	t.Run("only reading is allowed", func(t *testing.T) {
		t.Parallel()
		rec := httptest.NewRecorder()
		built.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil))
		require.Equal(t, http.StatusMethodNotAllowed, rec.Code)
	})
	t.Run("without a build it says what to run", func(t *testing.T) {
		t.Parallel()
		rec := get(Handler(fstest.MapFS{".gitkeep": {}}), "/")
		require.Contains(t, rec.Body.String(), "make build")
		require.Equal(t, "text/plain; charset=utf-8", rec.Header().Get("Content-Type"))
	})
}
