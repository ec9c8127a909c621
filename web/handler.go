package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
)

const notBuilt = `The dashboard is not part of this binary.

Run "make build" in a checkout of Lakepulse (it needs Node.js), then start the new bin/lakepulse.
The API under /api/v1/ works without it.
`

// Handler serves the built dashboard: its files, and index.html for every
// path that is no file, because the pages are routed in the browser. Names under
// assets/ carry their content's hash and are cached for ever; everything else is
// asked for again with its ETag. Each file is read and compressed once.
func Handler(dist fs.FS) http.Handler {
	files := &fileCache{dist: dist, entries: map[string]*file{}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "This path takes GET, HEAD", http.StatusMethodNotAllowed)
			return
		}
		name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
		f, err := files.get(name)
		if errors.Is(err, fs.ErrNotExist) && isPage(name) {
			name = "index.html"
			if f, err = files.get(name); errors.Is(err, fs.ErrNotExist) {
				w.Header().Set("Content-Type", "text/plain; charset=utf-8")
				w.Header().Set("Cache-Control", "no-store")
				// A browser that is gone cannot be told.
				_, _ = fmt.Fprint(w, notBuilt)
				return
			}
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			httpapi.WriteError(w, fault.New(fault.NotFound, "There is nothing at this path"))
		case err != nil:
			httpapi.WriteError(w, fmt.Errorf("read %s: %w", name, err))
		default:
			f.serve(w, r, name)
		}
	})
}

// isPage tells the paths of pages from those of files: a file that is missing
// must be a 404, or a stale page would run HTML as a script.
func isPage(name string) bool { return path.Ext(name) == "" || name == "index.html" }

// fileCache reads each file of the build once. Only files that exist are kept,
// so what callers ask for cannot make it grow.
type fileCache struct {
	dist    fs.FS
	mu      sync.Mutex
	entries map[string]*file
}

// file is one file of the build, as it is and, where that is smaller, compressed.
type file struct {
	plain, packed []byte
	tag           string
}

func (c *fileCache) get(name string) (*file, error) {
	if name == "" || strings.HasPrefix(path.Base(name), ".") {
		return nil, fs.ErrNotExist
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.entries[name]; f != nil {
		return f, nil
	}
	info, err := fs.Stat(c.dist, name)
	if err != nil || info.IsDir() {
		return nil, errors.Join(fs.ErrNotExist, err)
	}
	data, err := fs.ReadFile(c.dist, name)
	if err != nil {
		return nil, err
	}
	f := newFile(name, data)
	c.entries[name] = f
	return f, nil
}

func newFile(name string, data []byte) *file {
	sum := sha256.Sum256(data)
	f := &file{plain: data, tag: hex.EncodeToString(sum[:12])}
	if !compressible[path.Ext(name)] {
		return f
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return f // never: the level is a constant
	}
	_, err = z.Write(data)
	if err = errors.Join(err, z.Close()); err == nil && packed.Len() < len(data) {
		f.packed = packed.Bytes()
	}
	return f
}

var compressible = map[string]bool{".html": true, ".js": true, ".css": true, ".svg": true, ".json": true, ".map": true,
	".txt": true, ".webmanifest": true}

// contentTypes are ours, because the system's table may say something else.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".json": "application/json", ".map": "application/json", ".png": "image/png",
	".ico": "image/x-icon", ".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8",
	".webmanifest": "application/manifest+json",
}

func (f *file) serve(w http.ResponseWriter, r *http.Request, name string) {
	header := w.Header()
	contentType, known := contentTypes[path.Ext(name)]
	if !known {
		contentType = "application/octet-stream"
	}
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-cache")
	if strings.HasPrefix(name, "assets/") {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body, tag := f.plain, f.tag
	if f.packed != nil {
		header.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r) {
			body, tag = f.packed, f.tag+"-gzip"
			header.Set("Content-Encoding", "gzip")
		}
	}
	header.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
}

func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(name, "gzip") {
			return strings.ReplaceAll(weight, " ", "") != "q=0"
		}
	}
	return false
}
