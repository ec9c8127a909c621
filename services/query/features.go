package query

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
)

type featuresRequest struct {
	rng   timeRange
	app   string
	limit int
}

func (s *Service) features() httpapi.Route {
	return httpapi.Endpoint[featuresRequest, *api.FeatureList]{
		Method: http.MethodGet, Path: "/api/v1/metrics/features", Access: httpapi.Admin,
		Decode: func(r *http.Request) (featuresRequest, error) {
			p, rng := s.open(r)
			return featuresRequest{rng: rng, app: p.app(), limit: p.limit(100)}, p.err
		},
		Execute: s.getFeatures,
	}.Route()
}

// featuresSQL joins what people did with the requests it caused. An interaction
// is told apart by app and id; its features are the elements its events name,
// its cost is that of its slowest request.
const (
	featuresCaused = `WITH caused AS (
		SELECT app, interaction_id, count(*) AS requests, bool_or(status_code >= 400) AS failed, max(response_time_ms) AS slowest,
		       (array_agg(endpoint ORDER BY response_time_ms DESC))[1] AS endpoint,
		       (array_agg(method ORDER BY response_time_ms DESC))[1] AS method
		  FROM performance_metrics WHERE interaction_id IS NOT NULL AND `
	featuresDone = ` GROUP BY 1, 2),
	done AS (
		SELECT DISTINCT app, interaction_id, event_type, page_name, element_id, user_id
		  FROM usage_events WHERE interaction_id IS NOT NULL AND element_id IS NOT NULL AND `
	featuresRanked = `)
	SELECT app, event_type, page_name, element_id, count(*), count(DISTINCT user_id), sum(requests)::bigint,
	       (count(*) FILTER (WHERE failed))::float8 / count(*),
	       percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY slowest),
	       mode() WITHIN GROUP (ORDER BY endpoint || E'\n' || method)
	  FROM done JOIN caused USING (app, interaction_id)
	 GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 4, 3 NULLS FIRST, 2 LIMIT ?`
)

func (s *Service) getFeatures(ctx context.Context, _ auth.Caller, req featuresRequest) (*api.FeatureList, error) {
	resp := &api.FeatureList{TimeRange: req.rng.name, StartTime: req.rng.start, EndTime: req.rng.end, Features: []api.Feature{}}
	err := s.store.snapshot(ctx, func(ctx context.Context, tx pgx.Tx) error {
		v, err := s.look(ctx, tx, req.rng, true, false)
		if err != nil {
			return err
		}
		window := v.rawWindow()
		var st statement
		st.add(featuresCaused).within(window).equal("app", req.app).
			add(featuresDone).within(window).equal("app", req.app).
			add(featuresRanked, req.limit)
		var n int64
		err = collect(ctx, tx, &st, "list features", func(rows pgx.Rows) error {
			f, err := scanFeature(rows)
			resp.Features = append(resp.Features, f)
			n += f.Interactions
			return err
		})
		resp.Sources = v.rawProvenance(n, window)
		return err
	})
	return resp, err
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
	// A method has no line break, an endpoint may have anything.
	for i := len(slowest) - 1; i >= 0; i-- {
		if slowest[i] == '\n' {
			endpoint, method := slowest[:i], slowest[i+1:]
			f.SlowestEndpoint, f.SlowestMethod = &endpoint, &method
			break
		}
	}
	return f, nil
}
