package query

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Columns of a part that can be merged, of the raw rows of one histogram bucket,
// in the order of selectRequestParts. A bucket is a histogram of one word: putting
// them together costs Postgres more, which sorts for it, than Go.
const (
	rawColumns = `n, errors, anonymous, total, least, greatest, histogram_word(bucket, n)`

	rawBucketColumns = `response_time_bucket(response_time_ms) AS bucket, count(*) AS n, count(*) FILTER (WHERE status_code >= 400) AS errors,
		count(*) FILTER (WHERE user_id IS NULL) AS anonymous, sum(response_time_ms) AS total,
		min(response_time_ms) AS least, max(response_time_ms) AS greatest`
)

// keyColumn is something parts are told apart by, as SQL over aggregates and
// over raw rows.
type keyColumn struct{ aggregate, raw func(*statement) }

func column(aggregate, raw string) keyColumn {
	return keyColumn{
		aggregate: func(s *statement) { s.add(aggregate) },
		raw:       func(s *statement) { s.add(raw) },
	}
}

// mergeable returns a statement whose rows are a key and a part that can be
// merged: the aggregates of the reading, and its raw rows in the same shape.
func mergeable(t tier, r reading, f filter, key ...keyColumn) *statement {
	var st statement
	some := selectRequestParts(&st, t, f, r, key...)
	if len(r.raw) == 0 {
		return &st
	}
	if some {
		st.add(` UNION ALL `)
	}
	names := make([]string, len(key))
	for i := range key {
		names[i] = fmt.Sprintf("k%d, ", i)
	}
	outer := strings.Join(names, "")
	st.add(`SELECT ` + outer + rawColumns + ` FROM (SELECT `)
	for i, k := range key {
		k.raw(&st)
		st.add(` AS ` + names[i])
	}
	st.add(rawBucketColumns + ` FROM performance_metrics WHERE `).within(r.raw).requestsOf(f).
		add(` GROUP BY ` + outer + `bucket) AS part`)
	return &st
}

// requestPart is a row of a mergeable statement. Its histogram is the driver's
// memory and good until the next row.
type requestPart struct {
	requestTally

	encoded []byte
}

// add merges a part into the tally.
func (t *requestTally) add(p *requestPart) error {
	t.count(&p.requestTally)
	return t.histogram.AddEncoded(p.encoded, p.min, p.max)
}

// collectParts scans the rows of a mergeable statement, the key into its targets.
func collectParts(ctx context.Context, tx pgx.Tx, st *statement, what string, key []any, each func(*requestPart) error) error {
	var p requestPart
	targets := slices.Concat(key, []any{&p.n, &p.errors, &p.anonymous, &p.sum, &p.min, &p.max, nil})
	return collect(ctx, tx, st, what, func(rows pgx.Rows) error {
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		values := rows.RawValues()
		p.encoded = values[len(values)-1]
		return each(&p)
	})
}
