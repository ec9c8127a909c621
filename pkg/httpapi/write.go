package httpapi

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/lakepulse/lakepulse/pkg/fault"
)

// envelope is the body of every error answer.
type envelope struct {
	Error      fault.Code     `json:"error"`
	Message    string         `json:"message"`
	StatusCode int            `json:"status_code"`
	Details    map[string]any `json:"details"`
}

func writeJSON(w http.ResponseWriter, status int, body any) error {
	if s, ok := body.(Statuser); ok {
		status = s.HTTPStatus()
	}
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode response: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if _, err := w.Write(append(data, '\n')); err != nil {
		return errClientGone{err}
	}
	return nil
}

// errClientGone is an error of writing an answer: there is nobody left to tell.
type errClientGone struct{ error }

// ClientGone marks an error of writing an answer, for a Streamed's Write.
func ClientGone(err error) error { return errClientGone{err} }

// WriteError writes err as an error answer. Top-level members beside the
// envelope (the 413 of batches has some) come from details whose key starts
// with "+".
func WriteError(w http.ResponseWriter, err error) {
	f := fault.As(err)
	body := map[string]any{}
	details := map[string]any{}
	for k, v := range f.Details {
		if k[0] == '+' {
			body[k[1:]] = v
		} else {
			details[k] = v
		}
	}
	env := envelope{Error: f.Code, Message: f.Message, StatusCode: f.Status(), Details: details}
	body["error"], body["message"], body["status_code"], body["details"] = env.Error, env.Message, env.StatusCode, env.Details
	if f.Code == fault.Unavailable {
		wait := f.RetryAfter
		if wait <= 0 {
			wait = 5 * time.Second
		}
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	data, encErr := json.Marshal(body)
	if encErr != nil { // details are ours: plain values only
		data = []byte(`{"error":"internal_error","message":"Something went wrong on our side","status_code":500,"details":{}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(f.Status())
	// A client that is gone cannot be told: there is nothing to do with the error.
	_, _ = w.Write(append(data, '\n'))
}
