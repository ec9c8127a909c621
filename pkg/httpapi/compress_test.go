package httpapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// compressing is a server with one answer of each kind and length.
func compressing(t *testing.T) *httptest.Server {
	t.Helper()
	answer := func(path, text string) httpapi.Route {
		return httpapi.Endpoint[struct{}, string]{Method: http.MethodGet, Path: path, Access: httpapi.Public, Decode: httpapi.NoRequest,
			Execute: func(context.Context, auth.Caller, struct{}) (string, error) { return text, nil }}.Route()
	}
	stream := func(path string, end error) httpapi.Route {
		return httpapi.Streamed[struct{}]{Method: http.MethodGet, Path: path, Access: httpapi.Public, Decode: httpapi.NoRequest,
			Write: func(w http.ResponseWriter, _ *http.Request, _ auth.Caller, _ struct{}) error {
				w.Header().Set("Content-Type", "application/x-ndjson")
				for range 5 {
					if _, err := io.WriteString(w, strings.Repeat(`{"row":1}`+"\n", 1000)); err != nil {
						return err
					}
					if err := http.NewResponseController(w).Flush(); err != nil {
						return err
					}
				}
				return end
			}}.Route()
	}
	server := httptest.NewServer(httpapi.NewHandler(httpapi.HandlerParams{Log: testkit.Logger(t), Routes: []httpapi.Route{
		answer("/long", strings.Repeat("numbers ", 5000)), answer("/short", "numbers"),
		stream("/stream", nil), stream("/broken", errors.New("the database is away")),
	}}))
	t.Cleanup(server.Close)
	return server
}

func TestAnswersAreCompressedAsTheCallerAccepts(t *testing.T) {
	t.Parallel()
	server := compressing(t)
	read := map[string]func(io.Reader) ([]byte, error){
		"": io.ReadAll,
		"gzip": func(r io.Reader) ([]byte, error) {
			z, err := gzip.NewReader(r)
			if err != nil {
				return nil, err
			}
			return io.ReadAll(z)
		},
		"zstd": func(r io.Reader) ([]byte, error) {
			z, err := zstd.NewReader(r)
			if err != nil {
				return nil, err
			}
			defer z.Close()
			return io.ReadAll(z)
		},
	}
	for name, c := range map[string]struct{ path, accept, encoding string }{
		"zstd before gzip":              {"/long", "gzip, deflate, br, zstd", "zstd"},
		"gzip where there is no zstd":   {"/long", "gzip, deflate, br", "gzip"},
		"as it is where none is known":  {"/long", "br", ""},
		"as it is where none is wanted": {"/long", "gzip;q=0, zstd;q=0", ""},
		"as it is by default":           {"/long", "identity", ""},
		"a short one never":             {"/short", "gzip, zstd", ""},
		"a stream as well":              {"/stream", "gzip", "gzip"},
		"a stream with zstd":            {"/stream", "zstd", "zstd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+c.path, nil)
			require.NoError(t, err)
			req.Header.Set("Accept-Encoding", c.accept)
			resp, err := server.Client().Do(req)
			require.NoError(t, err)
			defer func() { require.NoError(t, resp.Body.Close()) }()
			require.Equal(t, c.encoding, resp.Header.Get("Content-Encoding"))
			require.Contains(t, resp.Header.Values("Vary"), "Accept-Encoding")
			data, err := read[c.encoding](resp.Body)
			require.NoError(t, err)
			switch c.path {
			case "/stream":
				require.Equal(t, 5000, strings.Count(string(data), "\n"))
			case "/long":
				require.Len(t, data, 5000*len("numbers ")+3)
			default:
				require.Equal(t, "\"numbers\"\n", string(data))
			}
		})
	}
}

// A client that decompresses by itself must not take the half of a stream for all of it.
func TestACompressedStreamThatBreaksOffIsAnError(t *testing.T) {
	t.Parallel()
	server := compressing(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/broken", nil)
	require.NoError(t, err)
	resp, err := server.Client().Do(req) // asks for gzip and decompresses
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	require.True(t, resp.Uncompressed)
	_, err = io.Copy(io.Discard, resp.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}
