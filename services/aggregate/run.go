package aggregate

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
)

// Kind says how much a run does.
type Kind string

// The kinds. A rollup aggregates closed hours; retention verifies, deletes and
// looks for stray rows besides.
const (
	Rollup    Kind = "rollup"
	Retention Kind = "retention"
)

// Trigger says what made a run start.
type Trigger string

// The triggers.
const (
	TriggerSchedule Trigger = "schedule"
	TriggerAPI      Trigger = "api"
	TriggerCommand  Trigger = "command"
	TriggerMessage  Trigger = "message"
)

// Status is where a run stands.
type Status string

// The statuses. Partial: some hours failed, the others are done.
const (
	Waiting Status = "waiting"
	Running Status = "running"
	Done    Status = "done"
	Partial Status = "partial"
	Failed  Status = "failed"
)

// Failure is one thing that went wrong in a run.
type Failure struct {
	TimeBucket *time.Time `json:"time_bucket,omitempty"`
	Kind       event.Kind `json:"kind,omitempty"`
	Message    string     `json:"message"`
}

func (f Failure) String() string {
	if f.TimeBucket == nil {
		return f.Message
	}
	return fmt.Sprintf("%s %s: %s", f.Kind, f.TimeBucket.Format(time.RFC3339), f.Message)
}

// Run is a run and its receipt: what it was asked, did, and failed at.
type Run struct {
	ID            uuid.UUID
	Kind          Kind
	Trigger       Trigger
	TriggeredBy   string
	CorrelationID string
	Instance      string
	Status        Status
	RequestedAt   time.Time
	StartedAt     *time.Time
	FinishedAt    *time.Time

	HoursTotal        int64
	HoursDone         int64
	HoursFailed       int64
	HoursVerified     int64
	HoursDiffering    int64
	RowsRead          int64
	RowsAggregated    int64
	RowsDeleted       int64
	AggregatesDeleted int64

	HeldBy   string
	Failures []Failure
}

// maxFailures bounds a receipt; HoursFailed counts on.
const maxFailures = 100

func (r *Run) fail(f Failure) {
	if f.TimeBucket != nil {
		r.HoursFailed++
	}
	if len(r.Failures) < maxFailures {
		r.Failures = append(r.Failures, f)
	}
}

// settle decides the final status.
func (r *Run) settle() {
	switch {
	case len(r.Failures) == 0:
		r.Status = Done
	case r.HoursFailed > 0 && r.HoursFailed < r.HoursTotal:
		r.Status = Partial
	case r.HoursFailed == 0 && r.HoursDone > 0:
		r.Status = Partial
	default:
		r.Status = Failed
	}
}

// worked reports whether the run changed or found anything worth a receipt.
func (r *Run) worked() bool {
	return r.HoursDone+r.HoursFailed+r.RowsDeleted+r.AggregatesDeleted > 0 || len(r.Failures) > 0
}

// duration is how long the run took, or takes so far as of now.
func (r *Run) duration() time.Duration {
	if r.StartedAt == nil || r.FinishedAt == nil {
		return 0
	}
	return r.FinishedAt.Sub(*r.StartedAt)
}

// view is the run in the terms of the HTTP contract.
func (r *Run) view() api.AggregationRun {
	v := api.AggregationRun{
		ID: r.ID, Kind: api.AggregationRunKind(r.Kind), Trigger: api.AggregationRunTrigger(r.Trigger),
		Status: api.RunStatus(r.Status), RequestedAt: &r.RequestedAt, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt,
		HoursTotal: &r.HoursTotal, HoursDone: r.HoursDone, HoursFailed: r.HoursFailed,
		HoursVerified: &r.HoursVerified, HoursDiffering: &r.HoursDiffering,
		RowsRead: r.RowsRead, RowsAggregated: r.RowsAggregated, RowsDeleted: r.RowsDeleted, AggregatesDeleted: r.AggregatesDeleted,
	}
	if r.TriggeredBy != "" {
		v.TriggeredBy = &r.TriggeredBy
	}
	if r.CorrelationID != "" {
		v.CorrelationID = &r.CorrelationID
	}
	if r.FinishedAt != nil {
		ms := float64(r.duration().Microseconds()) / 1000
		v.DurationMs = &ms
	}
	for _, f := range r.Failures {
		item := api.RunFailure{Message: f.Message, TimeBucket: f.TimeBucket}
		if f.Kind != "" {
			kind := string(f.Kind)
			item.Kind = &kind
		}
		v.Failures = append(v.Failures, item)
	}
	return v
}

func (r *Run) failuresJSON() ([]byte, error) {
	if len(r.Failures) == 0 {
		return []byte("[]"), nil
	}
	return json.Marshal(r.Failures)
}
