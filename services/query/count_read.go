package query

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// ownEvents are the usage events of one user; app and session narrow them, "" is all.
type ownEvents struct {
	window             span
	user, app, session string
}

// countOwnEvents counts them among the raw rows.
func countOwnEvents(ctx context.Context, tx pgx.Tx, own ownEvents) (n int64, err error) {
	var st statement
	st.add(`SELECT count(*) FROM usage_events WHERE `).within([]span{own.window}).
		add(` AND user_id = ?`, own.user).equal("app", own.app).equal("session_id", own.session)
	return n, collect(ctx, tx, &st, "count own events", func(rows pgx.Rows) error { return rows.Scan(&n) })
}
