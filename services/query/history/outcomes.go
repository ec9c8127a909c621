package history

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// The most entries of a list in an answer; MaxStatuses is more than there are.
const (
	MaxErrorTypes = 200
	MaxStatuses   = 1000
)

// Outcomes are numbers of requests by status code, and of failed ones by error
// type; those without a type are under the empty name.
type Outcomes struct{ Statuses, Failures counts }

// TallyOutcomes counts the outcomes of a plan's requests.
func TallyOutcomes(ctx context.Context, tx pgx.Tx, r Plan, f snapshot.Filter) (*Outcomes, error) {
	o := &Outcomes{Statuses: newCounts(), Failures: newCounts()}
	if r.aggregated() {
		err := snapshot.Collect(ctx, tx, outcomesStatement(f, r), "merge outcomes", func(rows pgx.Rows) error {
			values := rows.RawValues()
			if err := o.Statuses.addCodes(values[0]); err != nil {
				return err
			}
			return o.Failures.addNumbered(values[1])
		})
		if err == nil {
			err = o.Failures.resolve(ctx, tx)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(r.raw) == 0 {
		return o, nil
	}
	return o, o.addRaw(ctx, tx, r.raw, f)
}

func (o *Outcomes) addRaw(ctx context.Context, tx pgx.Tx, spans []snapshot.Span, f snapshot.Filter) error {
	var st snapshot.Statement
	st.Add(`SELECT status_code, CASE WHEN status_code >= 400 THEN coalesce(error_type, '') END, count(*) FROM performance_metrics WHERE `).
		Within(spans).MatchRequests(f).Add(` GROUP BY 1, 2`)
	return snapshot.Collect(ctx, tx, &st, "tally outcomes", func(rows pgx.Rows) error {
		var code int
		var failure *string
		var n int64
		if err := rows.Scan(&code, &failure, &n); err != nil {
			return err
		}
		status := strconv.Itoa(code)
		o.Statuses.add(&status, n)
		if failure != nil {
			o.Failures.add(failure, n)
		}
		return nil
	})
}
