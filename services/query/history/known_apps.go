package history

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// RequireApp returns a NotFound fault for an app that no administrator has made and
// of which nothing is recorded, while there are other apps: it is misspelt then, and
// an answer of zeros would look like an app without traffic. It is meant to be
// asked after an empty answer only, because it looks through unaggregated rows.
func RequireApp(ctx context.Context, tx pgx.Tx, app string, now time.Time) error {
	if app == "" || app == event.OwnApp {
		return nil
	}
	known, err := readKnownApps(ctx, tx, app, now)
	if err != nil || len(known) > 0 {
		return err
	}
	others, err := readKnownApps(ctx, tx, "", now)
	if err != nil || len(others) == 0 {
		return err
	}
	refused := fault.New(fault.NotFound, "No events are recorded for the app %q", app)
	if name := fault.Nearest(app, others); name != "" {
		refused = fault.New(fault.NotFound, "No events are recorded for the app %q: did you mean %q?", app, name).With("nearest", name)
	}
	return refused.With("field", "app").With("rule", "unknown")
}

// readKnownApps returns the apps that are administered or recorded, without
// Lakepulse's own; with an app only that.
func readKnownApps(ctx context.Context, tx pgx.Tx, app string, now time.Time) ([]string, error) {
	c, err := readCoverage(ctx, tx, now.Add(-longestRaw), now)
	if err != nil {
		return nil, err
	}
	var st snapshot.Statement
	st.Add(`SELECT DISTINCT app FROM (SELECT app FROM apps WHERE true`).Equal("app", app).Add(` UNION ALL `)
	recordedApps(&st, app)
	for _, kind := range event.Kinds() {
		unaggregated := c.plan(kind, later(c.purged, now.Add(-longestRaw)), now.Add(event.MaxAhead), planOptions{aggregates: true}).raw
		st.Add(` UNION ALL SELECT app FROM `+snapshot.RawTable(kind)+` WHERE `).Within(unaggregated).Equal("app", app)
	}
	st.Add(`) AS known WHERE app <> ? ORDER BY app LIMIT 10000`, event.OwnApp)
	var apps []string
	err = snapshot.Collect(ctx, tx, &st, "read known apps", func(rows pgx.Rows) error {
		var name string
		err := rows.Scan(&name)
		apps = append(apps, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("known apps: %w", err)
	}
	return apps, nil
}

// longestRaw bounds the raw rows that are looked through for an app.
const longestRaw = 31 * Day
