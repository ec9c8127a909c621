package query

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// tallyOutcomes counts requests by status code, and failed ones by error type;
// those without a type are under the empty name.
func tallyOutcomes(ctx context.Context, tx pgx.Tx, r reading, f filter) (statuses, failures map[string]int64, err error) {
	statuses, failures = map[string]int64{}, map[string]int64{}
	if r.aggregated() {
		err = collect(ctx, tx, outcomesStatement(f, r), "merge outcomes", func(rows pgx.Rows) error {
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
		return statuses, most(failures, maxElements), nil
	}
	var st statement
	st.add(`SELECT status_code, CASE WHEN status_code >= 400 THEN coalesce(error_type, '') END, count(*) FROM performance_metrics WHERE `).
		within(r.raw).requestsOf(f).add(` GROUP BY 1, 2`)
	err = collect(ctx, tx, &st, "tally outcomes", func(rows pgx.Rows) error {
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
	return statuses, most(failures, maxElements), err
}
