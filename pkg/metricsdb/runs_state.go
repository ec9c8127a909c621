package metricsdb

import (
	"context"
	"fmt"
	"time"
)

// AggregationState is how the aggregation fares, as the database knows it.
type AggregationState struct {
	RetentionDone time.Time // when the last retention run ended without a failure; zero for never
	LastFailed    bool      // the last run that ended failed, wholly or in part
	OldestWaiting time.Time // when the oldest closed hour that has a mark ended; zero for none
}

// ReadAggregationState reads it. It needs to read runs and marks.
func ReadAggregationState(ctx context.Context, db DB) (AggregationState, error) {
	var s AggregationState
	var done, oldest *time.Time
	err := db.QueryRow(ctx, `SELECT
		(SELECT max(finished_at) FROM aggregation_runs WHERE kind = 'retention' AND status = 'done'),
		coalesce((SELECT status IN ('failed', 'partial') FROM aggregation_runs WHERE finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 1), false),
		(SELECT min(time_bucket) + interval '1 hour' FROM hour_marks WHERE time_bucket < date_trunc('hour', now()))`).
		Scan(&done, &s.LastFailed, &oldest)
	if err != nil {
		return s, fmt.Errorf("state of the aggregation: %w", err)
	}
	s.RetentionDone, s.OldestWaiting = utc(done), utc(oldest)
	return s, nil
}
