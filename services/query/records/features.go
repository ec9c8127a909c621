package records

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// featureRows is about how many rows are joined; sources.raw_from says from when.
const featureRows = 1_000_000

// What people did is joined with the requests it caused. An interaction is told
// apart by app and id; its features are the elements its events name, its cost
// is that of its slowest request. The slowest is found as the greatest text of
// time (whose bytes sort as it does), method and endpoint: one pass, no sort.
const (
	featuresDone = `WITH done AS MATERIALIZED (
		SELECT DISTINCT app, interaction_id, event_type, page_name, element_id, user_id
		  FROM usage_events WHERE interaction_id IS NOT NULL AND element_id IS NOT NULL AND `
	featuresCaused = `),
	caused AS (
		SELECT app, interaction_id, count(*) AS requests, bool_or(status_code >= 400) AS failed, max(response_time_ms) AS slowest,
		       substr(max((encode(float8send(response_time_ms), 'hex') || method || ' ' || endpoint) COLLATE "C"), 17) AS slowest_one
		  FROM performance_metrics
		 WHERE (app, interaction_id) IN (SELECT app, interaction_id FROM done) AND `
	featuresRanked = ` GROUP BY 1, 2)
	SELECT app, event_type, page_name, element_id, count(*), count(DISTINCT user_id), sum(requests)::bigint,
	       (count(*) FILTER (WHERE failed))::float8 / count(*),
	       percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY slowest), mode() WITHIN GROUP (ORDER BY slowest_one)
	  FROM done JOIN caused USING (app, interaction_id)
	 GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 4, 3 NULLS FIRST, 2 LIMIT ?`
)

// ListFeatures returns the features with the most interactions in the last rows of a view.
func ListFeatures(ctx context.Context, tx pgx.Tx, v *history.View, f snapshot.Filter, limit int) ([]api.Feature, api.Provenance, error) {
	list := []api.Feature{}
	window := v.LastRows(featureRows)
	var st snapshot.Statement
	st.Add(featuresDone).Within(window).MatchApp(f).
		Add(featuresCaused).Within(window).MatchApp(f).
		Add(featuresRanked, limit)
	var n int64
	err := snapshot.Collect(ctx, tx, &st, "list features", func(rows pgx.Rows) error {
		f, err := scanFeature(rows)
		list = append(list, f)
		n += f.Interactions
		return err
	})
	return list, v.RawProvenance(n, window), err
}

func scanFeature(rows pgx.Rows) (f api.Feature, err error) {
	var percentiles []float64
	var slowest string
	err = rows.Scan(&f.App, &f.EventType, &f.PageName, &f.ElementID, &f.Interactions, &f.Users, &f.Requests, &f.ErrorRate,
		&percentiles, &slowest)
	if err != nil {
		return f, err
	}
	f.P50ResponseTimeMs, f.P95ResponseTimeMs = percentiles[0], percentiles[1]
	f.InsufficientSamples = history.InsufficientSamples(f.Interactions, len(percentiles))
	if method, endpoint, found := strings.Cut(slowest, " "); found {
		f.SlowestEndpoint, f.SlowestMethod = &endpoint, &method
	}
	return f, nil
}
