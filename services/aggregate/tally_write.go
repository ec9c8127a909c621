package aggregate

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// Columns that aggregated_metrics, aggregated_days and aggregated_totals share.
var sumColumns = []string{"metric_type", "time_bucket", "app", "aggregated_values", "sample_count", "id_checksum", "error_count",
	"anonymous_count", "success_count", "failure_count", "response_time_sum", "response_time_min", "response_time_max", "histogram", "users"}

var (
	keyColumns   = append(append([]string(nil), sumColumns...), "endpoint_path", "method", "event_type")
	totalColumns = append(append([]string(nil), sumColumns...), "resolution")
)

// writeKeys copies sums of keys into aggregated_metrics or aggregated_days.
func (t *tally) writeKeys(ctx context.Context, tx pgx.Tx, table string, bucket time.Time, sums []*sum) error {
	source := pgx.CopyFromSlice(len(sums), func(i int) ([]any, error) {
		row, err := t.row(bucket, sums[i])
		return append(row, sums[i].path, sums[i].method, sums[i].eventType), err
	})
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{table}, keyColumns, source); err != nil {
		return fmt.Errorf("write %s: %w", table, err)
	}
	return nil
}

// writeTotals copies the sums of apps into aggregated_totals.
func (t *tally) writeTotals(ctx context.Context, tx pgx.Tx, resolution string, bucket time.Time) error {
	sums := make([]*sum, 0, len(t.apps))
	for _, s := range t.apps {
		sums = append(sums, s)
	}
	source := pgx.CopyFromSlice(len(sums), func(i int) ([]any, error) {
		row, err := t.row(bucket, sums[i])
		return append(row, resolution), err
	})
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"aggregated_totals"}, totalColumns, source); err != nil {
		return fmt.Errorf("write aggregated_totals: %w", err)
	}
	return nil
}

// row is a sum as sumColumns want it.
func (t *tally) row(bucket time.Time, s *sum) ([]any, error) {
	users := t.users.resolve(&s.users)
	values, err := json.Marshal(t.values(s, len(users)))
	if err != nil {
		return nil, fmt.Errorf("values of %s: %w", s.app, err)
	}
	histogram := []byte{}
	if s.histogram != nil {
		histogram = s.histogram.Append(histogram)
	}
	return []any{string(t.kind), bucket, s.app, string(values), s.n, numeric(s.checksum.big()), s.errors, s.anonymous, s.successes,
		s.failures, s.msSum, s.msMin, s.msMax, histogram, users}, nil
}

func numeric(n *big.Int) pgtype.Numeric { return pgtype.Numeric{Int: n, Valid: true} }

// values is aggregated_values of a sum. Percentiles are there only where they
// are exact: for an hour's key.
func (t *tally) values(s *sum, users int) map[string]any {
	v := map[string]any{}
	var kept []int
	if t.kind == event.KindPerformance {
		v["avg_response_time_ms"], v["min_response_time_ms"], v["max_response_time_ms"] = s.msSum/float64(s.n), s.msMin, s.msMax
		v["total_requests"], v["error_count"], v["error_rate"] = s.n, s.errors, float64(s.errors)/float64(s.n)
		if s.hasPercentile {
			v["p50_response_time_ms"], v["p95_response_time_ms"], v["p99_response_time_ms"] = s.percentile[0], s.percentile[1], s.percentile[2]
		}
		if kept = []int{statusCodes, errorTypes}; s.total {
			kept = []int{statusCodes}
		}
	} else {
		v["total_events"], v["unique_users"], v["success_count"], v["failure_count"] = s.n, users, s.successes, s.failures
		v["success_rate"] = nil
		if told := s.successes + s.failures; told > 0 {
			v["success_rate"] = float64(s.successes) / float64(told)
		}
		if kept = []int{pages, elements}; s.total {
			kept = []int{eventTypes, pageViews}
		}
	}
	for _, d := range kept {
		if items := s.distributions[d].top(); items != nil {
			v[distributionNames[d]] = items
		} else {
			v[distributionNames[d]] = map[string]int64{}
		}
	}
	return v
}

// writeVersions keeps when versions of apps were first seen. Nothing is written
// for a version that was known on that day already: hours would meet there.
func (t *tally) writeVersions(ctx context.Context, tx pgx.Tx, day time.Time) error {
	if len(t.versions) == 0 {
		return nil
	}
	var apps, names []string
	var firsts []time.Time
	for _, v := range t.versions {
		apps, names, firsts = append(apps, v.app), append(names, v.version), append(firsts, postgresTime(v.first))
	}
	_, err := tx.Exec(ctx, upsertVersions, apps, names, firsts, day)
	return err
}

// postgresTime is a time in Postgres' binary form: microseconds since 2000.
func postgresTime(micros int64) time.Time {
	return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(micros) * time.Microsecond)
}

const upsertVersions = `
INSERT INTO app_versions AS v (app, app_version, first_seen, last_seen_on)
SELECT n.app, n.version, n.first_seen, $4::date FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS n (app, version, first_seen)
 WHERE NOT EXISTS (SELECT FROM app_versions o WHERE o.app = n.app AND o.app_version = n.version
                      AND o.first_seen <= n.first_seen AND o.last_seen_on >= $4::date)
 ORDER BY 1, 2
ON CONFLICT (app, app_version) DO UPDATE
   SET first_seen = least(v.first_seen, excluded.first_seen), last_seen_on = greatest(v.last_seen_on, excluded.last_seen_on)`
