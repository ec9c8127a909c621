package query

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/records"
)

type countRequest struct {
	rng     history.Range
	user    string // as the caller named it
	session string
}

func (s *Service) usageCount() httpapi.Route {
	return httpapi.Endpoint[countRequest, *api.UsageCount]{
		Method: http.MethodGet, Path: "/api/v1/metrics/usage/count", Access: httpapi.Authenticated,
		Query: with("user_id", "session_id"),
		Decode: func(r *http.Request) (countRequest, error) {
			p, rng := s.open(r)
			return countRequest{rng: rng, user: p.text("user_id", 255), session: p.text("session_id", 255)}, p.err
		},
		Execute: s.getUsageCount,
	}.Route()
}

// getUsageCount counts the caller's own events. An app asks with its key for the
// user it names, and sees no other app's events of theirs.
func (s *Service) getUsageCount(ctx context.Context, caller auth.Caller, req countRequest) (*api.UsageCount, error) {
	user, app := caller.UserID, ""
	switch {
	case caller.Kind == auth.KindUser && req.user != "":
		return nil, fault.Refuse("user_id", "only_with_key", "user_id must not be given: you may count your own events only")
	case caller.Kind != auth.KindUser && req.user == "":
		return nil, fault.Refuse("user_id", "required", "user_id is required: an app counts the events of a user it names")
	case caller.Kind != auth.KindUser && caller.App == "":
		return nil, fault.New(fault.Forbidden, "Only a user, or an app with its key, may count events")
	case caller.Kind != auth.KindUser:
		user, app = req.user, caller.App
	}
	resp := &api.UsageCount{TimeRange: req.rng.Name, StartTime: req.rng.Start, EndTime: req.rng.End}
	err := s.counts.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		v, err := history.Open(ctx, tx, history.Question{Range: req.rng, Now: s.now()})
		if err != nil {
			return err
		}
		resp.Count, resp.Since, err = records.CountOwnEvents(ctx, tx, v, records.OwnEvents{User: user, App: app, Session: req.session})
		if resp.Since.After(req.rng.End) {
			resp.Since = req.rng.End
		}
		return err
	})
	return resp, err
}
