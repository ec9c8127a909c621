package ingest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
)

// largeBody is the number of bytes from which a body needs a slot of its own.
const largeBody = 512 << 10

// readBody returns the request's body, decompressed. It never holds more than
// MaxBody bytes, however well they were compressed.
func (s *Service) readBody(r *http.Request) ([]byte, error) {
	limit := s.cfg.MaxBody
	if r.ContentLength > limit {
		return nil, bodyTooLarge(limit)
	}
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
		return readAll(r.Context(), r.Body, r.ContentLength, limit)
	case "gzip", "x-gzip":
		// The compressed side is bounded too: headers of a gzip stream can be long.
		zr, err := gzip.NewReader(io.LimitReader(r.Body, limit))
		if err != nil {
			return nil, bodyError(err, "body: must be gzip, as Content-Encoding says")
		}
		return readAll(r.Context(), zr, -1, limit)
	default:
		return nil, fault.New(fault.Invalid, "Content-Encoding: must be gzip or identity").With("field", "Content-Encoding")
	}
}

// readAll reads up to limit bytes. The buffer is made for what has arrived, not
// for the size that is announced: announcing costs a sender nothing.
func readAll(ctx context.Context, src io.Reader, size, limit int64) ([]byte, error) {
	var buf bytes.Buffer
	if size > 0 {
		buf.Grow(int(min(size, largeBody)) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(src, largeBody))
	if err == nil && n == largeBody {
		if err := httpapi.EnterLarge(ctx); err != nil {
			return nil, err
		}
		var more int64
		more, err = buf.ReadFrom(io.LimitReader(src, limit+1-n))
		n += more
	}
	switch {
	case n > limit:
		return nil, bodyTooLarge(limit)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, bodyError(err, "body: ends before it is complete")
	case err != nil:
		return nil, bodyError(err, "body: cannot be read")
	}
	return buf.Bytes(), nil
}

// bodyError says what was wrong with a body. One that did not arrive in time is
// no fault of its content: it may be sent again.
func bodyError(err error, message string) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.Wrap(err, fault.Unavailable, "The body did not arrive in time").After(time.Second)
	}
	return fault.Wrap(err, fault.Invalid, "%s", message).With("field", "body")
}

func bodyTooLarge(limit int64) error {
	const message = "Request body exceeds the maximum size"
	return fault.New(fault.TooLarge, message).With("+detail", message).With("+max_body_bytes", limit)
}
