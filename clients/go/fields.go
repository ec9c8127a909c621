package lakepulse

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/lakepulse/lakepulse/clients/go/rules"
)

// This file is everything the client knows about an event's fields: their types,
// bounds, form on the wire, and what is done to a text that ingest would refuse.

// The bounds of fields. Texts are measured in characters, metadata in bytes of JSON.
const (
	maxEndpoint = rules.MaxEndpoint
	maxText     = 255 // every text that has no bound of its own
	maxMetadata = 8 << 10
)

// Performance is one HTTP request that the app served. An empty text and a nil
// Seq mean "not known".
type Performance struct {
	ID             ID        `json:"id"`
	Timestamp      time.Time `json:"timestamp"`                // when the request began, UTC
	App            string    `json:"app,omitempty"`            // ^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$; empty: the key's app
	Instance       string    `json:"instance,omitempty"`       // the process, ≤ 255 characters
	Endpoint       string    `json:"endpoint"`                 // route template where known, 1..500 characters
	Method         string    `json:"method"`                   // of the closed list, else _OTHER
	StatusCode     int       `json:"status_code"`              // 100..599
	ResponseTimeMS float64   `json:"response_time_ms"`         // milliseconds, ≥ 0
	UserID         string    `json:"user_id,omitempty"`        // ≤ 255 characters; empty: anonymous
	ErrorType      string    `json:"error_type,omitempty"`     // ≤ 255 characters; set where StatusCode ≥ 400
	AppVersion     string    `json:"app_version,omitempty"`    // ≤ 255 characters
	SessionID      string    `json:"session_id,omitempty"`     // browser tab, ≤ 255 characters
	InteractionID  string    `json:"interaction_id,omitempty"` // click that caused the request, ≤ 255 characters
	TraceID        string    `json:"trace_id,omitempty"`       // 32 hexadecimal digits
	CorrelationID  string    `json:"correlation_id,omitempty"` // ≤ 255 characters
	Seq            *int64    `json:"seq,omitempty"`            // counter of the instance; a gap is a loss
}

// Usage is one interaction of a person with the app, as it is sent.
type Usage struct {
	ID            ID              `json:"id"`
	Timestamp     time.Time       `json:"timestamp"`                // when it happened, UTC
	App           string          `json:"app,omitempty"`            // as in Performance
	EventType     string          `json:"event_type"`               // ^[a-z][a-z0-9_.]{0,99}$
	UserID        string          `json:"user_id"`                  // 1..255 characters
	PageName      string          `json:"page_name,omitempty"`      // ≤ 255 characters
	ElementID     string          `json:"element_id,omitempty"`     // ≤ 255 characters
	Success       *bool           `json:"success,omitempty"`        // nil: does not apply
	Metadata      json.RawMessage `json:"metadata,omitempty"`       // a JSON object of at most 8 KiB
	AppVersion    string          `json:"app_version,omitempty"`    // ≤ 255 characters
	SessionID     string          `json:"session_id,omitempty"`     // ≤ 255 characters
	InteractionID string          `json:"interaction_id,omitempty"` // ≤ 255 characters
}

// clean makes every text one that ingest accepts: what comes with a request can hold
// anything, and one bad text would have the whole record refused.
func (p *Performance) clean() {
	p.Instance = rules.CleanText(p.Instance, maxText)
	p.Endpoint = rules.CleanText(p.Endpoint, maxEndpoint)
	p.UserID = rules.CleanText(p.UserID, maxText)
	p.ErrorType = rules.CleanText(p.ErrorType, maxText)
	p.AppVersion = rules.CleanText(p.AppVersion, maxText)
	p.SessionID = rules.CleanText(p.SessionID, maxText)
	p.InteractionID = rules.CleanText(p.InteractionID, maxText)
	p.TraceID = rules.CleanText(p.TraceID, maxText)
	p.CorrelationID = rules.CleanText(p.CorrelationID, maxText)
}

// check returns the first rule the event breaks, nil when ingest accepts it.
func (u *Usage) check() *FieldError {
	var c checker
	c.eventType(u.EventType)
	c.text("user_id", u.UserID, 1, maxText)
	c.text("page_name", u.PageName, 0, maxText)
	c.text("element_id", u.ElementID, 0, maxText)
	c.metadata(u.Metadata)
	c.text("app_version", u.AppVersion, 0, maxText)
	c.text("session_id", u.SessionID, 0, maxText)
	c.text("interaction_id", u.InteractionID, 0, maxText)
	return c.err
}

func appendPerformance(dst []byte, p *Performance) []byte {
	dst = appendHead(dst, p.ID, p.Timestamp, p.App)
	dst = appendText(dst, `,"instance":`, p.Instance)
	dst = appendText(dst, `,"endpoint":`, p.Endpoint)
	dst = appendText(dst, `,"method":`, p.Method)
	dst = append(dst, `,"status_code":`...)
	dst = strconv.AppendInt(dst, int64(p.StatusCode), 10)
	dst = append(dst, `,"response_time_ms":`...)
	dst = strconv.AppendFloat(dst, p.ResponseTimeMS, 'f', -1, 64)
	dst = appendText(dst, `,"user_id":`, p.UserID)
	dst = appendText(dst, `,"error_type":`, p.ErrorType)
	dst = appendText(dst, `,"app_version":`, p.AppVersion)
	dst = appendText(dst, `,"session_id":`, p.SessionID)
	dst = appendText(dst, `,"interaction_id":`, p.InteractionID)
	dst = appendText(dst, `,"trace_id":`, p.TraceID)
	dst = appendText(dst, `,"correlation_id":`, p.CorrelationID)
	if p.Seq != nil {
		dst = append(dst, `,"seq":`...)
		dst = strconv.AppendInt(dst, *p.Seq, 10)
	}
	return append(dst, '}')
}

func appendUsage(dst []byte, u *Usage) []byte {
	dst = appendHead(dst, u.ID, u.Timestamp, u.App)
	dst = appendText(dst, `,"event_type":`, u.EventType)
	dst = appendText(dst, `,"user_id":`, u.UserID)
	dst = appendText(dst, `,"page_name":`, u.PageName)
	dst = appendText(dst, `,"element_id":`, u.ElementID)
	if u.Success != nil {
		dst = append(dst, `,"success":`...)
		dst = strconv.AppendBool(dst, *u.Success)
	}
	if len(u.Metadata) > 0 {
		dst = append(dst, `,"metadata":`...)
		dst = append(dst, u.Metadata...)
	}
	dst = appendText(dst, `,"app_version":`, u.AppVersion)
	dst = appendText(dst, `,"session_id":`, u.SessionID)
	dst = appendText(dst, `,"interaction_id":`, u.InteractionID)
	return append(dst, '}')
}
