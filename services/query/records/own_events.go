package records

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// OwnEvents are the usage events of one user; app and session narrow them, "" is all.
type OwnEvents struct {
	User, App, Session string
}

// CountOwnEvents counts a user's events among the raw rows of a view and returns
// since when those exist. Only hours in which the user was active, as aggregates
// know, and hours without aggregates are read: there is no index by user.
func CountOwnEvents(ctx context.Context, tx pgx.Tx, v *history.View, own OwnEvents) (n int64, since time.Time, err error) {
	window := v.RawWindow()
	if len(window) == 0 {
		_, to := v.Effective()
		return 0, to, nil
	}
	spans, err := v.FindUserHours(ctx, tx, own.App, own.User)
	if err != nil {
		return 0, time.Time{}, err
	}
	var st snapshot.Statement
	st.Add(`SELECT count(*) FROM usage_events WHERE `).Within(spans).
		Add(` AND user_id = ?`, own.User).Equal("app", own.App).Equal("session_id", own.Session)
	err = snapshot.Collect(ctx, tx, &st, "count own events", func(rows pgx.Rows) error { return rows.Scan(&n) })
	return n, window[0].From, err
}
