package records

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// maxUsers bounds lists of users.
const maxUsers = 50

// Orders of listUsers.
const (
	ByActivity = `requests + events DESC, user_id`
	ByErrors   = `errors DESC, requests DESC, user_id`
	ByEvents   = `events DESC, user_id`
)

// ListUsers returns the first users of an order with what they did lately, and
// how many in all met an error. It notes in p since when that is.
func ListUsers(ctx context.Context, tx pgx.Tx, v *history.View, f snapshot.Filter, order string, p *api.Provenance) (users []api.UserActivity, affected int64, err error) {
	spans := v.RecentRows()
	if len(spans) > 0 {
		p.UsersFrom = &spans[0].From
	}
	var st snapshot.Statement
	scope := history.ScopeOf(f)
	st.Add(`SELECT user_id, requests, errors, events, last_seen, count(*) FILTER (WHERE errors > 0) OVER () FROM (
		SELECT user_id, sum(requests)::bigint AS requests, sum(errors)::bigint AS errors, sum(events)::bigint AS events,
		       max(last_seen) AS last_seen FROM (`)
	if scope.Requests {
		st.Add(`SELECT user_id, count(*) AS requests, count(*) FILTER (WHERE status_code >= 400) AS errors, 0 AS events,
			max("timestamp") AS last_seen FROM performance_metrics WHERE `).
			Within(spans).MatchRequests(f).Add(` AND user_id IS NOT NULL GROUP BY user_id`)
	}
	if scope.Requests && scope.Events {
		st.Add(` UNION ALL `)
	}
	if scope.Events {
		st.Add(`SELECT user_id, 0 AS requests, 0 AS errors, count(*) AS events, max("timestamp") AS last_seen FROM usage_events WHERE `).
			Within(spans).MatchEvents(f).Add(` GROUP BY user_id`)
	}
	st.Add(`) AS part GROUP BY user_id) AS did ORDER BY `+order+` LIMIT ?`, maxUsers)
	users = make([]api.UserActivity, 0, maxUsers)
	err = snapshot.Collect(ctx, tx, &st, "list users", func(rows pgx.Rows) error {
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
