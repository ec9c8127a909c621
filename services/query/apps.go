package query

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
)

func (s *Service) apps() httpapi.Route {
	return httpapi.Endpoint[timeRange, *api.AppList]{
		Method: http.MethodGet, Path: "/api/v1/apps", Access: httpapi.Admin,
		Decode: func(r *http.Request) (timeRange, error) {
			p, rng := s.open(r)
			return rng, p.err
		},
		Execute: s.getApps,
	}.Route()
}

func (s *Service) getApps(ctx context.Context, _ auth.Caller, rng timeRange) (*api.AppList, error) {
	resp := &api.AppList{}
	err := s.store.snapshot(ctx, func(ctx context.Context, tx pgx.Tx) error {
		v, err := openView(ctx, tx, question{rng: rng, now: s.now()})
		if err != nil {
			return err
		}
		resp.Apps, err = v.listApps(ctx, tx)
		return err
	})
	return resp, err
}
