package aggregate

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// save writes the run as it stands; a run that is not there yet is added.
func (s *store) save(ctx context.Context, r *Run) error {
	failures, err := r.failuresJSON()
	if err != nil {
		return err
	}
	_, err = s.pool.Exec(ctx, saveRun, r.ID, r.Kind, r.Trigger, r.TriggeredBy, r.Status, r.RequestedAt, r.StartedAt, r.FinishedAt,
		r.HoursTotal, r.HoursDone, r.HoursFailed, r.HoursVerified, r.HoursDiffering, r.RowsRead, r.RowsAggregated, r.RowsDeleted,
		r.AggregatesDeleted, r.HeldBy, r.CorrelationID, r.Instance, failures)
	return err
}

// request adds a waiting retention run, unless one waits or works already; it
// returns the run that will answer.
func (s *store) request(ctx context.Context, r Run) (Run, error) {
	const attempts = 5 // the one that was there may finish between the two looks
	for range attempts {
		found, err := s.oneRun(ctx, activeRetention)
		if !errors.Is(err, pgx.ErrNoRows) {
			return found, err
		}
		added, err := s.oneRun(ctx, addWaiting, r.ID, r.Kind, r.Trigger, r.TriggeredBy, r.RequestedAt, r.CorrelationID, r.Instance)
		if !errors.Is(err, pgx.ErrNoRows) {
			return added, err
		}
	}
	return Run{}, errors.New("runs come and go too fast")
}

// waiting returns the run that waits for someone to do it.
func (s *store) waiting(ctx context.Context) (Run, bool, error) {
	r, err := s.oneRun(ctx, selectRuns+` WHERE status = 'waiting'`)
	if errors.Is(err, pgx.ErrNoRows) {
		return Run{}, false, nil
	}
	return r, err == nil, err
}

// get returns a run by its id; the error is pgx.ErrNoRows when there is none.
func (s *store) get(ctx context.Context, id uuid.UUID) (Run, error) {
	return s.oneRun(ctx, selectRuns+` WHERE id = $1`, id)
}

// list returns the newest runs.
func (s *store) list(ctx context.Context, limit int) ([]Run, error) {
	rows, err := s.pool.Query(ctx, selectRuns+` ORDER BY requested_at DESC LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanRun)
}

// retentionSince reports whether a retention run started at or after a time,
// and did not fail outright.
func (s *store) retentionSince(ctx context.Context, at time.Time) (found bool, err error) {
	err = s.pool.QueryRow(ctx, `
SELECT EXISTS (SELECT FROM aggregation_runs WHERE kind = 'retention' AND requested_at >= $1 AND status <> 'failed')`, at).Scan(&found)
	return found, err
}

// bury marks runs as failed whose process is gone: they say they are running,
// but the lease is not theirs.
func (s *store) bury(ctx context.Context, now time.Time, living uuid.UUID) error {
	_, err := s.pool.Exec(ctx, `
UPDATE aggregation_runs
   SET status = 'failed', finished_at = $1,
       failures = failures || jsonb_build_array(jsonb_build_object('message', 'the process ended before the run did'))
 WHERE status = 'running' AND id <> $2`, now, living)
	return err
}

func (s *store) oneRun(ctx context.Context, sql string, args ...any) (Run, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
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
	return r, json.Unmarshal(failures, &r.Failures)
}

// takeLease gives the lease to a run when nobody holds it, or its holder has
// not renewed it in time.
func (s *store) takeLease(ctx context.Context, id uuid.UUID, holder string, ttl time.Duration) (bool, error) {
	tag, err := s.pool.Exec(ctx, `
UPDATE aggregation_lease SET holder = $2, run_id = $1, held_until = clock_timestamp() + $3::interval
 WHERE held_until < clock_timestamp() OR run_id = $1`, id, holder, ttl)
	return tag.RowsAffected() == 1, err
}

// renewLease extends the run's lease; false when it is another's by now.
func (s *store) renewLease(ctx context.Context, id uuid.UUID, ttl time.Duration) (bool, error) {
	tag, err := s.pool.Exec(ctx, `UPDATE aggregation_lease SET held_until = clock_timestamp() + $2::interval WHERE run_id = $1`, id, ttl)
	return tag.RowsAffected() == 1, err
}

func (s *store) dropLease(ctx context.Context, id uuid.UUID) error {
	_, err := s.pool.Exec(ctx, `UPDATE aggregation_lease SET held_until = '-infinity', run_id = NULL, holder = '' WHERE run_id = $1`, id)
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
