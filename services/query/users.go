package query

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// userScope says whose users count: those of requests, of usage events, or of
// both, each once. A filter that only one kind knows leaves out the other.
type userScope struct{ requests, events bool }

func scopeOf(f filter) userScope {
	byRequest, byEvent := f.endpoint != "" || f.method != "", f.eventType != ""
	return userScope{requests: byRequest || !byEvent, events: byEvent || !byRequest}
}

// rawUsers appends a select of the distinct pairs of a bucket (when b is given)
// and a user over the kinds in scope. Distinct on either side first: that is
// what leaves little to merge.
func rawUsers(st *statement, spans []span, f filter, scope userScope, b *buckets) {
	side := func(table string, narrow func(filter) *statement) {
		st.add(`SELECT DISTINCT `)
		if b != nil {
			b.column(st).add(` AS bucket, `)
		}
		st.add(`user_id FROM ` + table + ` WHERE `).within(spans)
		narrow(f).add(` AND user_id IS NOT NULL`)
	}
	if scope.requests {
		side("performance_metrics", st.requestsOf)
	}
	if scope.requests && scope.events {
		st.add(` UNION `)
	}
	if scope.events {
		side("usage_events", st.eventsOf)
	}
}

// countUsers counts the distinct users of the spans.
func countUsers(ctx context.Context, tx pgx.Tx, spans []span, f filter, scope userScope) (n int64, err error) {
	var st statement
	st.add(`SELECT count(*) FROM (`)
	rawUsers(&st, spans, f, scope, nil)
	st.add(`) AS seen`)
	err = collect(ctx, tx, &st, "count users", func(rows pgx.Rows) error { return rows.Scan(&n) })
	return n, err
}

// countUsersBy counts the distinct users of each bucket.
func countUsersBy(ctx context.Context, tx pgx.Tx, spans []span, f filter, scope userScope, b buckets) (map[int64]int64, error) {
	var st statement
	st.add(`SELECT bucket, count(*) FROM (`)
	rawUsers(&st, spans, f, scope, &b)
	st.add(`) AS seen GROUP BY bucket`)
	byBucket := map[int64]int64{}
	err := collect(ctx, tx, &st, "count users over time", func(rows pgx.Rows) error {
		var bucket time.Time
		var n int64
		if err := rows.Scan(&bucket, &n); err != nil {
			return err
		}
		byBucket[bucket.Unix()] = n
		return nil
	})
	return byBucket, err
}

// addAnonymous counts one user more in each bucket that has requests without one.
func addAnonymous(ctx context.Context, tx pgx.Tx, spans []span, f filter, b buckets, byBucket map[int64]int64) error {
	var st statement
	st.add(`SELECT DISTINCT `)
	b.column(&st).add(` FROM performance_metrics WHERE `).within(spans).requestsOf(f).add(` AND user_id IS NULL`)
	return collect(ctx, tx, &st, "look for anonymous requests over time", func(rows pgx.Rows) error {
		var bucket time.Time
		err := rows.Scan(&bucket)
		byBucket[bucket.Unix()]++
		return err
	})
}
