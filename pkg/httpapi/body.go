package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/lakepulse/lakepulse/pkg/fault"
)

// maxAdminBody bounds the bodies of admin calls.
const maxAdminBody = 64 << 10

// DecodeJSON reads the JSON body of an admin call into a struct. It refuses
// members that the struct does not have, with the nearest one that it has. No body
// is an empty object. Events do not come in this way.
func DecodeJSON[T any](r *http.Request) (T, error) {
	var into T
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxAdminBody))
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return into, fault.New(fault.TooLarge, "The body must not be longer than %d bytes", tooLong.Limit)
	}
	if err != nil {
		return into, fault.Wrap(err, fault.Invalid, "The body could not be read")
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return into, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		return into, fault.Refuse("body", "json_object", "The body must be a JSON object")
	}
	// encoding/json would also take names in another case, and two of one object then mean the same.
	known := jsonMembers(reflect.TypeFor[T]())
	for name := range members {
		if !slices.Contains(known, name) {
			return into, unknownName("member", name, known)
		}
	}
	if err := json.Unmarshal(data, &into); err != nil {
		if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return into, fault.Refuse(kind.Field, "type", "%s must not be a JSON %s", kind.Field, kind.Value)
		}
		return into, fault.Refuse("body", "json", "The body is no valid JSON of this call")
	}
	return into, nil
}

// jsonMembers returns the names under which encoding/json reads a struct's fields.
func jsonMembers(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}
