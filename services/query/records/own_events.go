package records

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// OwnEvents are the usage events of one user; app and session narrow them, "" is all.
type OwnEvents struct {
	Window             snapshot.Span
	User, App, Session string
}

// CountOwnEvents counts them among the raw rows.
func CountOwnEvents(ctx context.Context, tx pgx.Tx, own OwnEvents) (n int64, err error) {
	var st snapshot.Statement
	st.Add(`SELECT count(*) FROM usage_events WHERE `).Within([]snapshot.Span{own.Window}).
		Add(` AND user_id = ?`, own.User).Equal("app", own.App).Equal("session_id", own.Session)
	return n, snapshot.Collect(ctx, tx, &st, "count own events", func(rows pgx.Rows) error { return rows.Scan(&n) })
}
