package ingest

import (
	"net/http"
	"time"

	"github.com/lakepulse/lakepulse/pkg/fault"
)

// answer is what a sender is told of its batch: 202 where anything was kept,
// 400 where nothing was.
type answer struct {
	Message        string         `json:"message"`
	EventsReceived *int           `json:"events_received,omitempty"`
	Status         string         `json:"status,omitempty"`
	ServerTime     time.Time      `json:"server_time"`
	Rejected       []rejection    `json:"rejected,omitempty"`
	Error          fault.Code     `json:"error,omitempty"`
	StatusCode     int            `json:"status_code,omitempty"`
	Details        map[string]any `json:"details,omitempty"`
}

func newAnswer(kept int, rejected []rejection, now time.Time) answer {
	if kept > 0 {
		return answer{Message: "Events accepted", EventsReceived: &kept, Status: "processing", ServerTime: now, Rejected: rejected}
	}
	first := rejected[0]
	return answer{
		Message: "No event was accepted; the first: " + first.Field + ": " + first.Reason, Error: fault.Invalid,
		StatusCode: http.StatusBadRequest, Details: map[string]any{"field": first.Field, "rule": first.Reason, "index": first.Index},
		ServerTime: now, Rejected: rejected,
	}
}

// HTTPStatus implements httpapi.Statuser.
func (a answer) HTTPStatus() int {
	if a.StatusCode != 0 {
		return a.StatusCode
	}
	return http.StatusAccepted
}
