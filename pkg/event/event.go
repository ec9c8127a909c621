package event

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Kind tells the two sorts of events apart. Its text is part of subjects,
// tables and answers.
type Kind string

// The kinds.
const (
	KindPerformance Kind = "performance"
	KindUsage       Kind = "usage"
)

// Kinds lists every kind, in the order tables and reports use.
func Kinds() []Kind { return []Kind{KindPerformance, KindUsage} }

// MaxBatch is the most events one request may carry.
const MaxBatch = 1000

// The event types that Lakepulse's own trackers send. Any other name that
// matches the rule of [Usage].EventType is a custom event.
const (
	TypePageView           = "page_view"
	TypeButtonClick        = "button_click"
	TypeFormSubmit         = "form_submit"
	TypeQueryExecuted      = "query_executed"
	TypeModelInvoked       = "model_invoked"
	TypePreferenceChanged  = "preference_changed"
	TypeDataSourceSelected = "data_source_selected"
	TypeSchemaDetected     = "schema_detected"
	TypeFileUploaded       = "file_uploaded"
	TypeExportTriggered    = "export_triggered"
)

// Performance is one API request that an app instance served. Empty strings
// and a nil Seq mean "not known".
type Performance struct {
	ID             uuid.UUID `json:"id"`
	Timestamp      time.Time `json:"timestamp"`                // when the request began, the sender's clock, UTC
	App            string    `json:"app"`                      // ^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$
	Instance       string    `json:"instance,omitempty"`       // process or replica, ≤ 255 characters
	Endpoint       string    `json:"endpoint"`                 // route template where known, 1..500 characters
	Method         string    `json:"method"`                   // HTTP method, upper case
	StatusCode     int       `json:"status_code"`              // 100..599
	ResponseTimeMS float64   `json:"response_time_ms"`         // milliseconds, ≥ 0, finite
	UserID         string    `json:"user_id,omitempty"`        // ≤ 255 characters; "" = anonymous
	ErrorType      string    `json:"error_type,omitempty"`     // ≤ 255 characters; set when StatusCode ≥ 400
	AppVersion     string    `json:"app_version,omitempty"`    // ≤ 255 characters
	SessionID      string    `json:"session_id,omitempty"`     // the browser tab the request came from
	InteractionID  string    `json:"interaction_id,omitempty"` // the click that caused it
	TraceID        string    `json:"trace_id,omitempty"`
	CorrelationID  string    `json:"correlation_id,omitempty"`
	Seq            *int64    `json:"seq,omitempty"`        // counter of the sending instance; a gap is a loss
	ReceivedAt     time.Time `json:"received_at,omitzero"` // ingest's clock
}

// IsError reports whether the request failed: a status of 400 or more.
func (p *Performance) IsError() bool { return p.StatusCode >= 400 }

// Usage is one interaction of a person with an app.
type Usage struct {
	ID            uuid.UUID       `json:"id"`
	Timestamp     time.Time       `json:"timestamp"`  // when it happened, the sender's clock, UTC
	App           string          `json:"app"`        // ^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$
	EventType     string          `json:"event_type"` // ^[a-z][a-z0-9_.]{0,99}$
	UserID        string          `json:"user_id"`    // 1..255 characters, the verified sender
	PageName      string          `json:"page_name,omitempty"`
	ElementID     string          `json:"element_id,omitempty"`
	Success       *bool           `json:"success,omitempty"`
	Metadata      json.RawMessage `json:"metadata,omitempty"` // a JSON object of at most 8 KiB
	AppVersion    string          `json:"app_version,omitempty"`
	SessionID     string          `json:"session_id,omitempty"`
	InteractionID string          `json:"interaction_id,omitempty"`
	Seq           *int64          `json:"seq,omitempty"` // counter of the tab; a gap is a loss
	ReceivedAt    time.Time       `json:"received_at,omitzero"`
}

// Batch is what one message of the log carries: events of one app and one
// kind, in the order ingest accepted them. Only the slice of its kind is used.
type Batch struct {
	App         string
	Kind        Kind
	Performance []Performance
	Usage       []Usage
}

// Len returns the number of events in the batch.
func (b *Batch) Len() int { return len(b.Performance) + len(b.Usage) }

// Slice returns the events from i up to j as a batch that shares their memory.
func (b *Batch) Slice(i, j int) Batch {
	part := Batch{App: b.App, Kind: b.Kind}
	if b.Kind == KindPerformance {
		part.Performance = b.Performance[i:j]
	} else {
		part.Usage = b.Usage[i:j]
	}
	return part
}

// SizeHint returns a bound on the bytes of event i once encoded.
func (b *Batch) SizeHint(i int) int {
	const fixed = 128 // ids, times, numbers and the tags and lengths of all fields
	if b.Kind == KindPerformance {
		p := &b.Performance[i]
		return fixed + len(p.UserID) + len(p.AppVersion) + len(p.SessionID) + len(p.InteractionID) + len(p.Endpoint) +
			len(p.Method) + len(p.Instance) + len(p.ErrorType) + len(p.TraceID) + len(p.CorrelationID)
	}
	u := &b.Usage[i]
	return fixed + len(u.UserID) + len(u.AppVersion) + len(u.SessionID) + len(u.InteractionID) + len(u.EventType) +
		len(u.PageName) + len(u.ElementID) + len(u.Metadata)
}

// NewID returns a fresh UUIDv7: unique, and near its neighbours in time, which
// keeps the primary key's inserts on the right edge of the index.
func NewID() uuid.UUID {
	id, err := uuid.NewV7()
	if err != nil { // only when the system has no randomness left: nothing is safe then
		panic("event: no randomness for an id: " + err.Error())
	}
	return id
}
