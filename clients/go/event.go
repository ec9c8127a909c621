package lakepulse

import (
	"encoding/hex"
	"fmt"
)

// Kind tells performance metrics and usage events apart.
type Kind string

// The kinds.
const (
	KindPerformance Kind = "performance"
	KindUsage       Kind = "usage"
)

// MaxBatch is the number of events one request to ingest may carry.
const MaxBatch = 1000

// The built-in types of usage events. Any other name that matches
// ^[a-z][a-z0-9_.]{0,99}$ is a custom type.
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

// ID is an event's UUID.
type ID [16]byte

// String returns the UUID in its usual form of 36 characters.
func (id ID) String() string { return string(appendID(nil, id)) }

// MarshalText returns what String returns.
func (id ID) MarshalText() ([]byte, error) { return appendID(nil, id), nil }

// UnmarshalText reads the form that String returns.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return fmt.Errorf("lakepulse: %q is not a UUID", text)
	}
	digits := make([]byte, 0, 32)
	for i, c := range text {
		if i != 8 && i != 13 && i != 18 && i != 23 {
			digits = append(digits, c)
		}
	}
	if _, err := hex.Decode(id[:], digits); err != nil {
		return fmt.Errorf("lakepulse: %q is not a UUID", text)
	}
	return nil
}

// Batch is what a [Sink] is given: events of one kind. Only the slice of its kind
// is used.
type Batch struct {
	App         string
	Kind        Kind
	Performance []Performance
	Usage       []Usage
}

// Len returns the number of events.
func (b *Batch) Len() int { return len(b.Performance) + len(b.Usage) }

// FieldError says which field of an event breaks which rule.
type FieldError struct {
	Field  string
	Reason string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }
