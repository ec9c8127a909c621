package query

import (
	"context"
	"net/http"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/services/query/history"
)

func (s *Service) apps() httpapi.Route {
	return httpapi.Endpoint[history.Range, *api.AppList]{
		Method: http.MethodGet, Path: "/api/v1/apps", Access: httpapi.AnyReader,
		Query: rangeParameters,
		Decode: func(r *http.Request) (history.Range, error) {
			p, rng := s.open(r)
			return rng, p.err
		},
		Execute: s.getApps,
	}.Route()
}

func (s *Service) getApps(ctx context.Context, caller auth.Caller, rng history.Range) (*api.AppList, error) {
	resp := &api.AppList{}
	err := s.store.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		v, err := history.Open(ctx, tx, history.Question{Range: rng, Now: s.now()})
		if err != nil {
			return err
		}
		resp.Apps, resp.Own, err = v.ListApps(ctx, tx)
		return err
	})
	if !caller.Admin {
		resp.Apps = slices.DeleteFunc(resp.Apps, func(a api.AppSummary) bool { return !slices.Contains(caller.ReadableApps, a.App) })
	}
	return resp, err
}
