package metricsdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// RunKind says how much an aggregation run does.
type RunKind string

// The kinds. A rollup aggregates closed hours; a retention run also verifies
// them, deletes what has outlived its time and looks for rows without a mark.
const (
	Rollup    RunKind = "rollup"
	Retention RunKind = "retention"
)

// RunTrigger says what started a run.
type RunTrigger string

// The triggers.
const (
	TriggerSchedule RunTrigger = "schedule"
	TriggerAPI      RunTrigger = "api"
	TriggerCommand  RunTrigger = "command"
	TriggerMessage  RunTrigger = "message"
)

// RunStatus is the state of a run.
type RunStatus string

// The states. Partial: some hours failed, the others are done.
const (
	RunWaiting RunStatus = "waiting"
	RunRunning RunStatus = "running"
	RunDone    RunStatus = "done"
	RunPartial RunStatus = "partial"
	RunFailed  RunStatus = "failed"
)

// RunFailure is one thing that went wrong in a run.
type RunFailure struct {
	TimeBucket *time.Time `json:"time_bucket,omitempty"`
	Kind       event.Kind `json:"kind,omitempty"`
	Message    string     `json:"message"`
}

func (f RunFailure) String() string {
	if f.TimeBucket == nil {
		return f.Message
	}
	return fmt.Sprintf("%s %s: %s", f.Kind, f.TimeBucket.Format(time.RFC3339), f.Message)
}

// Run is an aggregation run and its receipt: what it was asked to do, what it
// did, and what failed.
type Run struct {
	ID            uuid.UUID
	Kind          RunKind
	Trigger       RunTrigger
	TriggeredBy   string
	CorrelationID string
	Instance      string
	Status        RunStatus
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
	Failures []RunFailure
}

// maxFailures bounds a receipt; HoursFailed goes on counting.
const maxFailures = 100

// Fail notes that something went wrong.
func (r *Run) Fail(f RunFailure) {
	if f.TimeBucket != nil {
		r.HoursFailed++
	}
	if len(r.Failures) < maxFailures {
		r.Failures = append(r.Failures, f)
	}
}

// Finish sets the final status from the failures and the hours that were done.
func (r *Run) Finish() {
	switch {
	case len(r.Failures) == 0:
		r.Status = RunDone
	case r.HoursFailed > 0 && r.HoursFailed < r.HoursTotal:
		r.Status = RunPartial
	case r.HoursFailed == 0 && r.HoursDone > 0:
		r.Status = RunPartial
	default:
		r.Status = RunFailed
	}
}

// Worked reports whether the run changed or found anything worth a receipt.
func (r *Run) Worked() bool {
	return r.HoursDone+r.HoursFailed+r.RowsDeleted+r.AggregatesDeleted > 0 || len(r.Failures) > 0
}

// Duration is how long the run took, 0 until it has finished.
func (r *Run) Duration() time.Duration {
	if r.StartedAt == nil || r.FinishedAt == nil {
		return 0
	}
	return r.FinishedAt.Sub(*r.StartedAt)
}

// SaveRun writes the run as it stands, or adds it.
func SaveRun(ctx context.Context, db DB, r *Run) error {
	failures := []byte("[]")
	if len(r.Failures) > 0 {
		var err error
		if failures, err = json.Marshal(r.Failures); err != nil {
			return err
		}
	}
	_, err := db.Exec(ctx, saveRun, r.ID, r.Kind, r.Trigger, r.TriggeredBy, r.Status, r.RequestedAt, r.StartedAt, r.FinishedAt,
		r.HoursTotal, r.HoursDone, r.HoursFailed, r.HoursVerified, r.HoursDiffering, r.RowsRead, r.RowsAggregated, r.RowsDeleted,
		r.AggregatesDeleted, r.HeldBy, r.CorrelationID, r.Instance, failures)
	return err
}

// RequestRun adds a waiting retention run, unless one is waiting or running
// already; it returns the run that will answer the request.
func RequestRun(ctx context.Context, db DB, r Run) (Run, error) {
	const attempts = 5 // the run that was found may finish between the two looks
	for range attempts {
		found, err := oneRun(ctx, db, activeRetention)
		if !errors.Is(err, pgx.ErrNoRows) {
			return found, err
		}
		added, err := oneRun(ctx, db, addWaiting, r.ID, r.Kind, r.Trigger, r.TriggeredBy, r.RequestedAt, r.CorrelationID, r.Instance)
		if !errors.Is(err, pgx.ErrNoRows) {
			return added, err
		}
	}
	return Run{}, errors.New("runs come and go too fast")
}

// WaitingRun returns the run that waits for a process to do it.
func WaitingRun(ctx context.Context, db DB) (Run, bool, error) {
	r, err := oneRun(ctx, db, selectRuns+` WHERE status = 'waiting'`)
	if errors.Is(err, pgx.ErrNoRows) {
		return Run{}, false, nil
	}
	return r, err == nil, err
}

// GetRun returns a run by its id; the error is pgx.ErrNoRows when there is none.
func GetRun(ctx context.Context, db DB, id uuid.UUID) (Run, error) {
	return oneRun(ctx, db, selectRuns+` WHERE id = $1`, id)
}

// ListRuns returns the newest runs.
func ListRuns(ctx context.Context, db DB, limit int) ([]Run, error) {
	rows, err := db.Query(ctx, selectRuns+` ORDER BY requested_at DESC LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanRun)
}

// RetentionSince reports whether a retention run was requested at or after a
// time and did not fail outright.
func RetentionSince(ctx context.Context, db DB, at time.Time) (found bool, err error) {
	err = db.QueryRow(ctx, `
SELECT EXISTS (SELECT FROM aggregation_runs WHERE kind = 'retention' AND requested_at >= $1 AND status <> 'failed')`, at).Scan(&found)
	return found, err
}

// FailAbandonedRuns marks runs as failed that say they are running while
// another run, living, has the lease.
func FailAbandonedRuns(ctx context.Context, db DB, now time.Time, living uuid.UUID) error {
	_, err := db.Exec(ctx, `
UPDATE aggregation_runs
   SET status = 'failed', finished_at = $1,
       failures = failures || jsonb_build_array(jsonb_build_object('message', 'the process ended before the run did'))
 WHERE status = 'running' AND id <> $2`, now, living)
	return err
}

func oneRun(ctx context.Context, db DB, sql string, args ...any) (Run, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return Run{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanRun)
}

func scanRun(row pgx.CollectableRow) (r Run, err error) {
	var failures []byte
	err = row.Scan(&r.ID, &r.Kind, &r.Trigger, &r.TriggeredBy, &r.Status, &r.RequestedAt, &r.StartedAt, &r.FinishedAt,
		&r.HoursTotal, &r.HoursDone, &r.HoursFailed, &r.HoursVerified, &r.HoursDiffering, &r.RowsRead, &r.RowsAggregated, &r.RowsDeleted,
		&r.AggregatesDeleted, &r.HeldBy, &r.CorrelationID, &r.Instance, &failures)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(failures, &r.Failures); err != nil {
		return r, fmt.Errorf("failures of run %s: %w", r.ID, err)
	}
	return r, nil
}

// TakeLease gives the lease to a run when nobody holds it, or its holder has not
// renewed it in time.
func TakeLease(ctx context.Context, db DB, id uuid.UUID, holder string, ttl time.Duration) (bool, error) {
	tag, err := db.Exec(ctx, `
UPDATE aggregation_lease SET holder = $2, run_id = $1, held_until = clock_timestamp() + $3::interval
 WHERE held_until < clock_timestamp() OR run_id = $1`, id, holder, ttl)
	return tag.RowsAffected() == 1, err
}

// RenewLease extends the run's lease; false when another run has it by now.
func RenewLease(ctx context.Context, db DB, id uuid.UUID, ttl time.Duration) (bool, error) {
	tag, err := db.Exec(ctx, `UPDATE aggregation_lease SET held_until = clock_timestamp() + $2::interval WHERE run_id = $1`, id, ttl)
	return tag.RowsAffected() == 1, err
}

// DropLease gives the run's lease back.
func DropLease(ctx context.Context, db DB, id uuid.UUID) error {
	_, err := db.Exec(ctx, `UPDATE aggregation_lease SET held_until = '-infinity', run_id = NULL, holder = '' WHERE run_id = $1`, id)
	return err
}

const (
	runColumns = `id, kind, "trigger", triggered_by, status, requested_at, started_at, finished_at, hours_total, hours_done,
       hours_failed, hours_verified, hours_differing, rows_read, rows_aggregated, rows_deleted, aggregates_deleted, held_by,
       correlation_id, instance, failures`

	selectRuns = `SELECT ` + runColumns + ` FROM aggregation_runs`

	saveRun = `
INSERT INTO aggregation_runs (` + runColumns + `)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21::jsonb)
ON CONFLICT (id) DO UPDATE SET status = excluded.status, started_at = excluded.started_at, finished_at = excluded.finished_at,
       hours_total = excluded.hours_total, hours_done = excluded.hours_done, hours_failed = excluded.hours_failed,
       hours_verified = excluded.hours_verified, hours_differing = excluded.hours_differing, rows_read = excluded.rows_read,
       rows_aggregated = excluded.rows_aggregated, rows_deleted = excluded.rows_deleted,
       aggregates_deleted = excluded.aggregates_deleted, held_by = excluded.held_by, instance = excluded.instance,
       failures = excluded.failures`

	// A running run counts while its lease holds.
	activeRetention = selectRuns + `
 WHERE kind = 'retention' AND (status = 'waiting' OR status = 'running' AND id = (
       SELECT run_id FROM aggregation_lease WHERE held_until >= clock_timestamp()))
 ORDER BY requested_at LIMIT 1`

	addWaiting = `
INSERT INTO aggregation_runs (id, kind, "trigger", triggered_by, status, requested_at, correlation_id, instance)
VALUES ($1, $2, $3, $4, 'waiting', $5, $6, $7) ON CONFLICT DO NOTHING RETURNING ` + runColumns
)
