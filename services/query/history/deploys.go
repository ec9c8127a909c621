package history

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// maxDeploys bounds the markers of a chart.
const maxDeploys = 200

// ListDeploys lists when versions were first seen in the view. An app's very first
// version is its beginning and no deploy. What aggregated hours have seen is
// kept for good; hours that are not aggregated are looked through.
func (v *View) ListDeploys(ctx context.Context, tx pgx.Tx, f snapshot.Filter) ([]api.Deploy, error) {
	p := v.prefer
	p.aggregates = true
	loose := v.coverage.plan(event.KindPerformance, v.from, v.to, p).raw
	var st snapshot.Statement
	st.Add(`SELECT app, app_version, first_seen FROM (
		SELECT app, app_version, first_seen, row_number() OVER (PARTITION BY app ORDER BY first_seen, app_version) AS place FROM (
		SELECT app, app_version, min(first_seen) AS first_seen FROM (
		SELECT app, app_version, first_seen FROM app_versions WHERE true`).MatchApp(f).
		Add(` UNION ALL SELECT app, app_version, min("timestamp") FROM performance_metrics WHERE `).Within(loose).MatchApp(f).
		Add(` AND app_version IS NOT NULL GROUP BY 1, 2) AS seen GROUP BY 1, 2) AS first) AS ranked
		WHERE place > 1 AND first_seen >= ? AND first_seen < ? ORDER BY first_seen DESC LIMIT ?`, v.from, v.to, maxDeploys)
	var list []api.Deploy
	err := snapshot.Collect(ctx, tx, &st, "list deploys", func(rows pgx.Rows) error {
		var d api.Deploy
		if err := rows.Scan(&d.App, &d.AppVersion, &d.Timestamp); err != nil {
			return err
		}
		d.Timestamp = d.Timestamp.UTC()
		list = append(list, d)
		return nil
	})
	slices.Reverse(list)
	return list, err
}
