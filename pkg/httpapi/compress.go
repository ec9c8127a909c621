package httpapi

import (
	"fmt"
	"net/http"

	"github.com/klauspost/compress/gzhttp"
)

// smallestCompressed is the length in bytes from which answers are compressed:
// below it an answer fits into one packet either way.
const smallestCompressed = 1400

// newCompressor returns a wrapper that compresses answers as the caller accepts
// them, zstd before gzip. Answers that differ by it say so (Vary).
func newCompressor() func(http.Handler) http.HandlerFunc {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(smallestCompressed), gzhttp.EnableGzip(true), gzhttp.EnableZstd(true),
		gzhttp.PreferZstd(true), gzhttp.ContentTypes([]string{"application/json", "application/x-ndjson", "text/csv"}))
	if err != nil { // the options are constants
		panic(fmt.Sprintf("compressor: %v", err))
	}
	return wrap
}
