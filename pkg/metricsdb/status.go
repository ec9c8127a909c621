package metricsdb

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// The parts of pipeline_status. Writers have one row each.
const (
	partWriter      = "writer/"
	partDeadLetters = "dead_letters"
	partTables      = "governance"
)

// WriterStatus is what a writer says of itself, and of the log as it sees it.
type WriterStatus struct {
	Instance         string    `json:"instance"`
	Version          string    `json:"version"`
	StreamMessages   uint64    `json:"stream_messages"`
	StreamBytes      uint64    `json:"stream_bytes"`
	LagMessages      uint64    `json:"lag_messages"`
	LagSeconds       float64   `json:"lag_seconds"`
	StoredThrough    time.Time `json:"stored_through"`
	StoredPerSecond  float64   `json:"stored_per_second"`
	StoredTotal      int64     `json:"stored_total"`
	DuplicatesTotal  int64     `json:"duplicates_total"`
	RedeliveredTotal int64     `json:"redelivered_total"` // messages that were handed out again
	SummarisedTotal  int64     `json:"summarised_total"`
	DeadTotal        int64     `json:"dead_total"`
	GapMessages      uint64    `json:"gap_messages"` // acknowledged, and stored again because the database lacks them
	DeadLetters      uint64    `json:"dead_letters"`
	Trouble          string    `json:"trouble,omitempty"`
}

// DeadLetters is what the writers show of the dead letters: how many there are,
// and the newest.
type DeadLetters struct {
	Count   uint64       `json:"count"`
	Letters []DeadLetter `json:"letters"`
}

// DeadLetter is one dead letter. What the events contain is text or bytes to
// Postgres, never JSON of ours: a document that Postgres refuses because of an
// event's content would stop the status of the whole pipeline.
type DeadLetter struct {
	Sequence         uint64              `json:"sequence"`
	App              string              `json:"app"`
	Kind             event.Kind          `json:"kind"`
	Reason           string              `json:"reason"`
	FirstSeen        time.Time           `json:"first_seen"`
	CodeVersion      string              `json:"code_version"`
	OriginalSubject  string              `json:"original_subject"`
	OriginalSequence uint64              `json:"original_sequence"`
	SchemaVersion    int                 `json:"schema_version"`
	Bytes            int                 `json:"bytes"`
	Headers          map[string][]string `json:"headers,omitempty"`
	Events           int                 `json:"events,omitempty"`  // how many, where they can be read
	Content          []byte              `json:"content,omitempty"` // base64 of the events as JSON, where they can be read
	Raw              []byte              `json:"raw,omitempty"`     // base64 of the first bytes, where not
}

// TableLevel says how full a table is.
type TableLevel string

// The levels of a table.
const (
	TableOK      TableLevel = "ok"
	TableWarning TableLevel = "warning"
	TableAlert   TableLevel = "alert"
)

// TableState is how many rows and bytes a table has, beside its bounds.
type TableState struct {
	Table     string     `json:"table"`
	Rows      int64      `json:"rows"`
	Bytes     int64      `json:"bytes"`
	Level     TableLevel `json:"level"`
	WarningAt int64      `json:"warning_at"`
	AlertAt   int64      `json:"alert_at"`
}

type tableStates struct {
	Tables []TableState `json:"tables"`
}

// WriteWriterStatus writes down the status of a writer.
func WriteWriterStatus(ctx context.Context, db DB, s WriterStatus) error {
	return writeStatus(ctx, db, partWriter+s.Instance, s)
}

// WriteDeadLetters writes down what is shown of the dead letters.
func WriteDeadLetters(ctx context.Context, db DB, d DeadLetters) error {
	return writeStatus(ctx, db, partDeadLetters, d)
}

// WriteTableStates writes down how full the tables are.
func WriteTableStates(ctx context.Context, db DB, states []TableState) error {
	return writeStatus(ctx, db, partTables, tableStates{states})
}

// ForgetDeadLetters deletes what is shown of the dead letters; a writer writes
// it again within seconds.
func ForgetDeadLetters(ctx context.Context, db DB) error {
	if _, err := db.Exec(ctx, `DELETE FROM pipeline_status WHERE part = $1`, partDeadLetters); err != nil {
		return fmt.Errorf("clear shown dead letters: %w", err)
	}
	return nil
}

func writeStatus(ctx context.Context, db DB, part string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode status %s: %w", part, err)
	}
	// jsonb holds no NUL. It may stand in what a sender sent, and must not stop the status.
	data = bytes.ReplaceAll(data, []byte(`\u0000`), []byte(`\ufffd`))
	_, err = db.Exec(ctx, `
INSERT INTO pipeline_status (part, body) VALUES ($1, $2::jsonb)
ON CONFLICT (part) DO UPDATE SET body = excluded.body, updated_at = now()`, part, data)
	if err != nil {
		return fmt.Errorf("store status %s: %w", part, err)
	}
	return nil
}

// PipelineStatus is what every part of the pipeline last said of itself.
type PipelineStatus struct {
	Writers     []WriterReport
	DeadLetters DeadLetters
	Tables      []TableState
	// Unreadable are parts whose document this program cannot decode: they were
	// written by another version.
	Unreadable []string
}

// WriterReport is a writer's status and when it was written.
type WriterReport struct {
	WriterStatus

	At  time.Time
	Age time.Duration // by the database's clock, which also stamped At
}

// ReadPipelineStatus reads every part's last document.
func ReadPipelineStatus(ctx context.Context, db DB) (PipelineStatus, error) {
	var s PipelineStatus
	var part string
	var at time.Time
	var age float64
	var body []byte
	err := queryRows(ctx, db, "read pipeline status",
		`SELECT part, updated_at, extract(epoch FROM clock_timestamp() - updated_at)::float8, body::text FROM pipeline_status ORDER BY part`,
		nil, []any{&part, &at, &age, &body}, func() error {
			s.add(part, at.UTC(), time.Duration(age*float64(time.Second)), body)
			return nil
		})
	return s, err
}

func (s *PipelineStatus) add(part string, at time.Time, age time.Duration, body []byte) {
	var err error
	switch {
	case strings.HasPrefix(part, partWriter):
		w := WriterReport{At: at, Age: age}
		if err = json.Unmarshal(body, &w.WriterStatus); err == nil {
			w.Instance = strings.TrimPrefix(part, partWriter)
			s.Writers = append(s.Writers, w)
		}
	case part == partDeadLetters:
		err = json.Unmarshal(body, &s.DeadLetters)
	case part == partTables:
		var t tableStates
		err = json.Unmarshal(body, &t)
		s.Tables = t.Tables
	}
	if err != nil {
		s.Unreadable = append(s.Unreadable, part)
	}
}
