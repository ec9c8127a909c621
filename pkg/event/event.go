package event

import (
	"time"

	"github.com/google/uuid"
)

// Kind tells the two sorts of events apart. Its text is part of subjects,
// tables and answers.
type Kind string

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

// IsError reports whether the request failed: a status of 400 or more.
func (e *Performance) IsError() bool { return e.StatusCode >= 400 }

// Event is an event of any kind.
type Event interface {
	Head() Head
	Normalize()
	Validate(w Window) *FieldError
	Dimensions(visit func(field string, value *string, most int))
	Pseudonymise(name string)
}

// Head points at what events of every kind have.
type Head struct {
	ID                    *uuid.UUID
	Timestamp, ReceivedAt *time.Time
	App                   *string
	UserID, SessionID     *string
}

// SizeHint returns a bound on the bytes of event i once encoded.
func (b *Batch) SizeHint(i int) int { return b.sizeHint(i) }

// sizeOfFixed bounds the encoded ids, times and numbers of an event, and the
// tags and lengths of all its fields.
const sizeOfFixed = 160

// without returns the list without what is unwanted. The list it is given stays as it is.
func without[E any](list []E, unwanted func(*E) bool) []E {
	for i := range list {
		if !unwanted(&list[i]) {
			continue
		}
		kept := append([]E(nil), list[:i]...)
		for j := i + 1; j < len(list); j++ {
			if !unwanted(&list[j]) {
				kept = append(kept, list[j])
			}
		}
		return kept
	}
	return list
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
