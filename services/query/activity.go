package query

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
)

// maxUsers bounds lists of users.
const maxUsers = 50

// Orders of listUsers.
const (
	byActivity = `requests + events DESC, user_id`
	byErrors   = `errors DESC, requests DESC, user_id`
	byEvents   = `events DESC, user_id`
)

// listUsers returns the first users of an order with what they did lately, and
// how many in all met an error. It notes in p since when that is.
func listUsers(ctx context.Context, tx pgx.Tx, v *view, f filter, order string, p *api.Provenance) (users []api.UserActivity, affected int64, err error) {
	spans := v.recent()
	if len(spans) > 0 {
		p.UsersFrom = &spans[0].from
	}
	var st statement
	scope := scopeOf(f)
	st.add(`SELECT user_id, requests, errors, events, last_seen, count(*) FILTER (WHERE errors > 0) OVER () FROM (
		SELECT user_id, sum(requests)::bigint AS requests, sum(errors)::bigint AS errors, sum(events)::bigint AS events,
		       max(last_seen) AS last_seen FROM (`)
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
	st.add(`) AS part GROUP BY user_id) AS did ORDER BY `+order+` LIMIT ?`, maxUsers)
	users = make([]api.UserActivity, 0, maxUsers)
	err = collect(ctx, tx, &st, "list users", func(rows pgx.Rows) error {
		var u api.UserActivity
		if err := rows.Scan(&u.UserID, &u.Requests, &u.Errors, &u.Events, &u.LastSeen, &affected); err != nil {
			return err
		}
		u.LastSeen = u.LastSeen.UTC()
		users = append(users, u)
		return nil
	})
	return users, affected, err
}
