package query

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/records"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

type featuresRequest struct {
	rng    history.Range
	filter snapshot.Filter
	limit  int
}

func (s *Service) features() httpapi.Route {
	return httpapi.Endpoint[featuresRequest, *api.FeatureList]{
		Method: http.MethodGet, Path: "/api/v1/metrics/features", Access: httpapi.Reader,
		Query: with("app", "limit"),
		Decode: func(r *http.Request) (featuresRequest, error) {
			p, rng := s.open(r)
			return featuresRequest{rng: rng, filter: snapshot.Filter{App: p.app()}, limit: p.limit(100)}, p.err
		},
		Execute: s.getFeatures,
	}.Route()
}

func (s *Service) getFeatures(ctx context.Context, _ auth.Caller, req featuresRequest) (*api.FeatureList, error) {
	resp := &api.FeatureList{TimeRange: req.rng.Name, StartTime: req.rng.Start, EndTime: req.rng.End, Features: []api.Feature{}}
	err := s.read(ctx, history.Question{Range: req.rng, Exact: true}, req.filter.App, func(ctx context.Context, tx pgx.Tx, v *history.View) (_ int64, err error) {
		resp.Features, resp.Sources, err = records.ListFeatures(ctx, tx, v, req.filter, req.limit)
		return resp.Sources.N, err
	})
	return resp, err
}
