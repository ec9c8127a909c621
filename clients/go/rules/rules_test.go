package rules

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReducePath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"": "/", "/": "/", "/a/b": "/a/b", "/a/12/b/": "/a/{id}/b/", "/v1/decade": "/v1/decade", "/deadbeef12": "/{id}",
		"/0191f1c2-7d3e-7abc-8def-0123456789ab/x": "/{id}/x", "/u/ann@example.com": "/u/{id}",
		"/t/eyJhbGciOiJIUzI1NiJ9abc": "/t/{id}", "/x/" + strings.Repeat("y", 64): "/x/{id}",
		strings.Repeat("/a", 20):                                 strings.Repeat("/a", 11) + "/{rest}",
		"/größenänderungen1/x":                                   "/größenänderungen1/x", // 17 characters in 20 bytes
		"/größenänderungen-111/x":                                "/{id}/x",              // 20 characters
		"/" + strings.Repeat("ö/", 11) + strings.Repeat("ß", 63): "/" + strings.Repeat("ö/", 11) + "{rest}",
	} {
		require.Equal(t, want, ReducePath(path), path)
		require.Equal(t, want, ReducePath(ReducePath(path)), "a reduced path stays as it is: %s", path)
	}
}

func TestCleanText(t *testing.T) {
	t.Parallel()
	require.Equal(t, "äöü", CleanText("äöüß", 3), "characters, not bytes")
	require.Equal(t, "ab\uFFFDc", CleanText("a\x00b\xffc", 9))
}

func TestExclusions(t *testing.T) {
	t.Parallel()
	app := Exclusions{"/static/*", "/exact", "/*.css"}
	for path, want := range map[string]bool{
		"/health": true, "/health/": true, "/health//": false, "/healthy": false, "/internal": false, "/internal/x": true,
		"/admin/system/x": true, "/admin/systems": false, "/static/a/b.js": true, "/exact": true, "/exact/": false, "/a/b.css": true,
	} {
		require.Equal(t, want, app.Match(path), path)
	}
}

func TestMethod(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]string{
		"GET": "GET", "patch": "PATCH", "ZAP": "_OTHER", "_OTHER": "_OTHER", "OTHER": "_OTHER", "": "_OTHER", "G E T": "_OTHER",
		strings.Repeat("GET", 1000): "_OTHER",
	} {
		require.Equal(t, want, Method(method), method)
	}
}
