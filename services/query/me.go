package query

import (
	"context"
	"net/http"
	"time"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
)

// me tells callers who they are, and administrators what may be asked for.
func (s *Service) me() httpapi.Route {
	return httpapi.Endpoint[struct{}, api.Me]{
		Method: http.MethodGet, Path: "/api/v1/me", Access: httpapi.Authenticated,
		Decode: httpapi.NoRequest,
		Execute: func(ctx context.Context, caller auth.Caller, _ struct{}) (api.Me, error) {
			resp := api.Me{UserID: caller.UserID, IsAdmin: caller.Admin, AuthMode: s.config.AuthMode}
			if resp.UserID == "" {
				resp.UserID = caller.App
			}
			if !caller.Admin {
				var err error
				resp.ReadableApps, err = s.readableApps(ctx, caller)
				if err != nil || len(resp.ReadableApps) == 0 { // a stranger is shown nothing of the installation
					return resp, err
				}
			}
			if s.config.Version != "" {
				resp.Version = &s.config.Version
			}
			resp.Limits = &api.Limits{
				RawRetentionSeconds:       int64(s.rawRetention() / time.Second),
				AggregateRetentionSeconds: int64(s.aggregateRetention() / time.Second),
				MaxRangeSeconds:           int64(MaxRange / time.Second),
			}
			return resp, nil
		},
	}.Route()
}

func (s *Service) readableApps(ctx context.Context, caller auth.Caller) ([]string, error) {
	if s.readers == nil {
		return nil, nil
	}
	return s.readers.ReadableApps(ctx, caller)
}
