package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// listRuns returns the newest aggregation runs.
func listRuns(ctx context.Context, tx pgx.Tx, limit int) ([]api.AggregationRun, error) {
	var st snapshot.Statement
	st.Add(`SELECT id, kind, "trigger", triggered_by, status, requested_at, started_at, finished_at, hours_total, hours_done, hours_failed,
		hours_verified, hours_differing, rows_read, rows_aggregated, rows_deleted, aggregates_deleted, correlation_id, failures::text
		FROM aggregation_runs ORDER BY requested_at DESC LIMIT ?`, limit)
	list := []api.AggregationRun{}
	err := snapshot.Collect(ctx, tx, &st, "list runs", func(rows pgx.Rows) error {
		r, err := scanRun(rows)
		list = append(list, r)
		return err
	})
	return list, err
}

func scanRun(rows pgx.Rows) (r api.AggregationRun, err error) {
	var by, correlation string
	var requested time.Time
	var total, verified, differing int64
	var failures []byte
	err = rows.Scan((*[16]byte)(&r.ID), &r.Kind, &r.Trigger, &by, &r.Status, &requested, &r.StartedAt, &r.FinishedAt, &total,
		&r.HoursDone, &r.HoursFailed, &verified, &differing, &r.RowsRead, &r.RowsAggregated, &r.RowsDeleted, &r.AggregatesDeleted,
		&correlation, &failures)
	if err != nil {
		return r, err
	}
	requested = requested.UTC()
	r.RequestedAt, r.StartedAt, r.FinishedAt = &requested, utc(r.StartedAt), utc(r.FinishedAt)
	r.TriggeredBy, r.CorrelationID = optional(by), optional(correlation)
	r.HoursTotal, r.HoursVerified, r.HoursDiffering = &total, &verified, &differing
	if r.StartedAt != nil && r.FinishedAt != nil {
		took := max(0, float64(r.FinishedAt.Sub(*r.StartedAt))/float64(time.Millisecond))
		r.DurationMs = &took
	}
	if err := json.Unmarshal(failures, &r.Failures); err != nil {
		return r, fmt.Errorf("failures of run %s: %w", r.ID, err)
	}
	return r, nil
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

// optional is nil for "".
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
