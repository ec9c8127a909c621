package history

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// TallyOutcomes counts requests by status code, and failed ones by error type;
// those without a type are under the empty name.
func TallyOutcomes(ctx context.Context, tx pgx.Tx, r Plan, f snapshot.Filter) (statuses, failures map[string]int64, err error) {
	statuses, failures = map[string]int64{}, map[string]int64{}
	if r.aggregated() {
		err = snapshot.Collect(ctx, tx, outcomesStatement(f, r), "merge outcomes", func(rows pgx.Rows) error {
			values := rows.RawValues()
			if err := addCounts(statuses, values[0]); err != nil {
				return err
			}
			return addCounts(failures, values[1])
		})
		if err != nil {
			return nil, nil, err
		}
	}
	if len(r.raw) == 0 {
		return statuses, keepMostFrequent(failures, maxElements), nil
	}
	var st snapshot.Statement
	st.Add(`SELECT status_code, CASE WHEN status_code >= 400 THEN coalesce(error_type, '') END, count(*) FROM performance_metrics WHERE `).
		Within(r.raw).MatchRequests(f).Add(` GROUP BY 1, 2`)
	err = snapshot.Collect(ctx, tx, &st, "tally outcomes", func(rows pgx.Rows) error {
		var code int
		var failure *string
		var n int64
		if err := rows.Scan(&code, &failure, &n); err != nil {
			return err
		}
		statuses[strconv.Itoa(code)] += n
		if failure != nil {
			failures[*failure] += n
		}
		return nil
	})
	return statuses, keepMostFrequent(failures, maxElements), err
}
