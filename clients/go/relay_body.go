package lakepulse

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// rewriteUsage returns a tracker's batch with every event's user and app
// replaced by ours. Events keep their places, so that the indexes in ingest's
// answer are the browser's; what is wrong with one of them is ingest's to say.
func rewriteUsage(raw []byte, user, app string) ([]byte, *refusal) {
	var in struct {
		Events  []json.RawMessage `json:"events"`
		Dropped json.RawMessage   `json:"dropped"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, invalid("body", "the body is not a batch of events in JSON")
	}
	if len(in.Events) == 0 {
		return nil, invalid("events", "events must hold at least one event")
	}
	if len(in.Events) > MaxBatch {
		message := fmt.Sprintf("Batch size exceeds maximum of %d events", MaxBatch)
		return nil, &refusal{
			Error: "payload_too_large", Status: http.StatusRequestEntityTooLarge, Message: message, Detail: message,
			MaxBatch: MaxBatch, Received: len(in.Events),
		}
	}
	identity, err := identityOf(user, app)
	if err != nil {
		return nil, invalid("user_id", "the user cannot be written as JSON")
	}
	out := struct {
		Events  []any `json:"events"`
		Dropped int64 `json:"dropped,omitempty"`
	}{Events: make([]any, len(in.Events)), Dropped: countOf(in.Dropped)}
	for i, e := range in.Events {
		out.Events[i] = rewriteEvent(e, identity)
	}
	body, err := json.Marshal(out)
	if err != nil {
		return nil, invalid("body", "the body is not a batch of events in JSON")
	}
	return body, nil
}

// countOf reads what a browser says it dropped. What is no count is left out: it
// would have ingest refuse the whole batch.
func countOf(raw json.RawMessage) int64 {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func identityOf(user, app string) (map[string]json.RawMessage, error) {
	quoted, err := json.Marshal(user)
	if err != nil {
		return nil, err
	}
	identity := map[string]json.RawMessage{"user_id": quoted}
	if app != "" {
		if quoted, err = json.Marshal(app); err != nil {
			return nil, err
		}
		identity["app"] = quoted
	}
	return identity, nil
}

// rewriteEvent removes user_id and app in every spelling that a lenient decoder
// takes for them (encoding/json folds letters, the last one wins), and adds ours.
func rewriteEvent(raw json.RawMessage, identity map[string]json.RawMessage) any {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
		return raw // no object: nobody can be named in it, and ingest refuses it by index
	}
	maps.DeleteFunc(fields, func(key string, _ json.RawMessage) bool {
		return strings.EqualFold(key, "user_id") || strings.EqualFold(key, "app")
	})
	maps.Copy(fields, identity)
	return fields
}
