package history

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// Columns of a part that can be merged, of the raw rows of one histogram bucket,
// in the order of selectRequestParts. Putting the buckets together costs Postgres
// more, which sorts for it, than Go.
const (
	rawColumns = `n, errors, anonymous, total, least, greatest, bucket, ''::bytea`

	rawBucketColumns = `histogram_bucket(response_time_ms) AS bucket, count(*) AS n, count(*) FILTER (WHERE status_code >= 400) AS errors,
		count(*) FILTER (WHERE user_id IS NULL) AS anonymous, sum(response_time_ms) AS total,
		min(response_time_ms) AS least, max(response_time_ms) AS greatest`
)

// keyColumn is something parts are told apart by, as SQL over aggregates and
// over raw rows.
type keyColumn struct{ aggregate, raw func(*snapshot.Statement) }

func column(aggregate, raw string) keyColumn {
	return keyColumn{
		aggregate: func(s *snapshot.Statement) { s.Add(aggregate) },
		raw:       func(s *snapshot.Statement) { s.Add(raw) },
	}
}

// mergeable returns a statement whose rows are a key and a part that can be
// merged: the aggregates of the reading, and its raw rows in the same shape.
func mergeable(t tables, r Plan, f snapshot.Filter, key ...keyColumn) *snapshot.Statement {
	var st snapshot.Statement
	some := selectRequestParts(&st, t, f, r, key...)
	if len(r.raw) == 0 {
		return &st
	}
	if some {
		st.Add(` UNION ALL `)
	}
	names := make([]string, len(key))
	for i := range key {
		names[i] = fmt.Sprintf("k%d, ", i)
	}
	outer := strings.Join(names, "")
	st.Add(`SELECT ` + outer + rawColumns + ` FROM (SELECT `)
	for i, k := range key {
		k.raw(&st)
		st.Add(` AS ` + names[i])
	}
	st.Add(rawBucketColumns + ` FROM performance_metrics WHERE `).Within(r.raw).MatchRequests(f).
		Add(` GROUP BY ` + outer + `bucket) AS part`)
	return &st
}

// requestPart is a row of a mergeable statement. Its histogram is the driver's
// memory and good until the next row.
type requestPart struct {
	RequestTally

	bucket  *int // of raw rows
	encoded []byte
}

// add merges a part into the tally.
func (t *RequestTally) add(p *requestPart) error {
	t.count(&p.RequestTally)
	if p.bucket != nil {
		t.histogram.AddCount(*p.bucket, uint64(p.N), p.Min, p.Max) // positive
		return nil
	}
	return t.histogram.AddEncoded(p.encoded, p.Min, p.Max)
}

// collectParts scans the rows of a mergeable statement, the key into its targets.
func collectParts(ctx context.Context, tx pgx.Tx, st *snapshot.Statement, what string, key []any, each func(*requestPart) error) error {
	var p requestPart
	targets := slices.Concat(key, []any{&p.N, &p.Errors, &p.anonymous, &p.sum, &p.Min, &p.Max, &p.bucket, nil})
	return snapshot.Collect(ctx, tx, st, what, func(rows pgx.Rows) error {
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		values := rows.RawValues()
		p.encoded = values[len(values)-1]
		return each(&p)
	})
}
