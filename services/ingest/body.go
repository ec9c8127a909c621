package ingest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/lakepulse/lakepulse/pkg/fault"
)

// readBody returns the request's body, decompressed. It never holds more than
// limit bytes, however well they were compressed.
func readBody(r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, bodyTooLarge(limit)
	}
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
		return readAll(r.Body, r.ContentLength, limit)
	case "gzip", "x-gzip":
		// The compressed side is bounded too: headers of a gzip stream can be long.
		zr, err := gzip.NewReader(io.LimitReader(r.Body, limit))
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "body: must be gzip, as Content-Encoding says").With("field", "body")
		}
		return readAll(zr, -1, limit)
	default:
		return nil, fault.New(fault.Invalid, "Content-Encoding: must be gzip or identity").With("field", "Content-Encoding")
	}
}

// readAll reads up to limit bytes into a buffer made for size, where it is known.
func readAll(src io.Reader, size, limit int64) ([]byte, error) {
	var buf bytes.Buffer
	if size > 0 {
		buf.Grow(int(size) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(src, limit+1))
	switch {
	case n > limit:
		return nil, bodyTooLarge(limit)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fault.Wrap(err, fault.Invalid, "body: ends before it is complete").With("field", "body")
	case err != nil:
		return nil, fault.Wrap(err, fault.Invalid, "body: cannot be read").With("field", "body")
	}
	return buf.Bytes(), nil
}

func bodyTooLarge(limit int64) error {
	const message = "Request body exceeds the maximum size"
	return fault.New(fault.TooLarge, message).With("+detail", message).With("+max_body_bytes", limit)
}
