package pipeline

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
)

// listRuns returns the newest aggregation runs.
func listRuns(ctx context.Context, tx pgx.Tx, limit int) ([]api.AggregationRun, error) {
	runs, err := metricsdb.ListRuns(ctx, tx, limit)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	list := make([]api.AggregationRun, len(runs))
	for i := range runs {
		list[i] = runs[i].Describe()
	}
	return list, nil
}

// optional is nil for "".
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
