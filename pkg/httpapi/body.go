package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/lakepulse/lakepulse/pkg/fault"
)

// maxJSONBody bounds the body of an administrator's call, in bytes.
const maxJSONBody = 64 << 10

// DecodeJSON reads a small JSON body. A member that T does not have is refused by
// name: an ignored one would be a silent misunderstanding.
func DecodeJSON[T any](r *http.Request) (T, error) {
	var body T
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxJSONBody))
	if err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return body, fault.New(fault.TooLarge, "The body must have at most %d bytes", maxJSONBody)
		}
		return body, fault.Wrap(err, fault.Invalid, "The body cannot be read")
	}
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		return body, fault.Wrap(err, fault.Invalid, "The body is not the JSON that is expected here: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return body, fault.New(fault.Invalid, "The body must hold one JSON document and nothing behind it")
	}
	return body, nil
}
