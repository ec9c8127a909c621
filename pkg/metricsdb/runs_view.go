package metricsdb

import (
	"time"

	"github.com/lakepulse/lakepulse/api"
)

// Describe returns the run in the terms of the HTTP contract.
func (r *Run) Describe() api.AggregationRun {
	requested := r.RequestedAt.UTC()
	v := api.AggregationRun{
		ID: r.ID, Kind: api.AggregationRunKind(r.Kind), Trigger: api.AggregationRunTrigger(r.Trigger),
		Status: api.RunStatus(r.Status), RequestedAt: &requested, StartedAt: inUTC(r.StartedAt), FinishedAt: inUTC(r.FinishedAt),
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
	if r.StartedAt != nil && r.FinishedAt != nil {
		ms := max(0, float64(r.Duration().Microseconds())/1000)
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

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
