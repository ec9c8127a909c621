package query

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
)

// eventTally is what a set of usage events adds up to.
type eventTally struct {
	n, succeeded, failed int64
	byType               map[string]int64
}

func (t eventTally) metrics() api.UsageMetrics {
	m := api.UsageMetrics{TotalEvents: t.n, SuccessCount: &t.succeeded, FailureCount: &t.failed}
	if said := t.succeeded + t.failed; said > 0 {
		rate := ratio(float64(t.succeeded), float64(said))
		m.SuccessRate = &rate
	}
	return m
}

// rawEvents tallies the usage events of the spans.
func rawEvents(ctx context.Context, tx pgx.Tx, spans []span, f filter) (eventTally, error) {
	var st statement
	st.add(`SELECT event_type, count(*), count(*) FILTER (WHERE success), count(*) FILTER (WHERE NOT success)
		FROM usage_events WHERE `).within(spans).eventsOf(f).add(` GROUP BY event_type`)
	t := eventTally{byType: map[string]int64{}}
	err := collect(ctx, tx, &st, "tally events", func(rows pgx.Rows) error {
		var name string
		var n, succeeded, failed int64
		if err := rows.Scan(&name, &n, &succeeded, &failed); err != nil {
			return err
		}
		t.byType[name] = n
		t.n, t.succeeded, t.failed = t.n+n, t.succeeded+succeeded, t.failed+failed
		return nil
	})
	return t, err
}

// The most entries of lists that have no natural bound.
const (
	maxPages    = 1000
	maxElements = 200
	maxUsers    = 50
)

// countEventsBy counts events by a column of usage_events, the most frequent
// ones; events without it are left out.
func countEventsBy(ctx context.Context, tx pgx.Tx, spans []span, f filter, column string, most int) (map[string]int64, error) {
	var st statement
	st.add(`SELECT `+column+`, count(*) FROM usage_events WHERE `).within(spans).eventsOf(f).
		add(` AND `+column+` IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?`, most)
	counts := map[string]int64{}
	err := collect(ctx, tx, &st, "count events by "+column, func(rows pgx.Rows) error {
		var name string
		var n int64
		err := rows.Scan(&name, &n)
		counts[name] = n
		return err
	})
	return counts, err
}

// Orders of activeUsers.
const (
	byActivity = `sum(requests) + sum(events) DESC, user_id`
	byErrors   = `sum(errors) DESC, sum(requests) DESC, user_id`
	byEvents   = `sum(events) DESC, user_id`
)

// activeUsers lists the first users of an order with what they did in the spans.
func activeUsers(ctx context.Context, tx pgx.Tx, spans []span, f filter, order string) ([]api.UserActivity, error) {
	var st statement
	scope := scopeOf(f)
	st.add(`SELECT user_id, sum(requests)::bigint AS requests, sum(errors)::bigint AS errors, sum(events)::bigint AS events, max(last_seen) FROM (`)
	if scope.requests {
		st.add(`SELECT user_id, count(*) AS requests, count(*) FILTER (WHERE status_code >= 400) AS errors, 0 AS events,
			max("timestamp") AS last_seen FROM performance_metrics WHERE `).
			within(spans).requestsOf(f).add(` AND user_id IS NOT NULL GROUP BY user_id`)
	}
	if scope.requests && scope.events {
		st.add(` UNION ALL `)
	}
	if scope.events {
		st.add(`SELECT user_id, 0 AS requests, 0 AS errors, count(*) AS events, max("timestamp") AS last_seen FROM usage_events WHERE `).
			within(spans).eventsOf(f).add(` GROUP BY user_id`)
	}
	st.add(`) AS did GROUP BY user_id ORDER BY `+order+` LIMIT ?`, maxUsers)
	users := make([]api.UserActivity, 0, maxUsers)
	err := collect(ctx, tx, &st, "list users", func(rows pgx.Rows) error {
		var u api.UserActivity
		if err := rows.Scan(&u.UserID, &u.Requests, &u.Errors, &u.Events, &u.LastSeen); err != nil {
			return err
		}
		u.LastSeen = u.LastSeen.UTC()
		users = append(users, u)
		return nil
	})
	return users, err
}
