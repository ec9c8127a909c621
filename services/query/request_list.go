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
)

func (p *params) detailedRequestFilter() records.RequestFilter {
	return records.RequestFilter{
		Filter: p.requestFilter(),
		StatusClass: choice(p, "status_class", "", api.StatusClass2Xx, api.StatusClass3Xx, api.StatusClass4Xx,
			api.StatusClass5Xx, api.StatusClassError),
		ErrorType:   p.text("error_type", 255),
		User:        p.text("user_id", 255),
		Interaction: p.text("interaction_id", 255),
	}
}

type requestsRequest struct {
	rng    history.Range
	filter records.RequestFilter
	order  api.RequestOrder
	limit  int
}

func (s *Service) requests() httpapi.Route {
	return httpapi.Endpoint[requestsRequest, *api.RequestList]{
		Method: http.MethodGet, Path: "/api/v1/metrics/requests", Access: httpapi.Reader,
		Query: with("app", "endpoint", "method", "status_class", "error_type", "user_id", "interaction_id", "order", "limit"),
		Decode: func(r *http.Request) (requestsRequest, error) {
			p, rng := s.open(r)
			return requestsRequest{rng: rng, filter: p.detailedRequestFilter(), limit: p.limit(100),
				order: choice(p, "order", api.OrderRecent, api.OrderRecent, api.OrderSlowest)}, p.err
		},
		Execute: s.getRequests,
	}.Route()
}

func (s *Service) getRequests(ctx context.Context, _ auth.Caller, req requestsRequest) (*api.RequestList, error) {
	resp := &api.RequestList{TimeRange: req.rng.Name, StartTime: req.rng.Start, EndTime: req.rng.End}
	err := s.read(ctx, history.Question{Range: req.rng, Exact: true}, req.filter.App, func(ctx context.Context, tx pgx.Tx, v *history.View) (int64, error) {
		list, err := records.ListRequests(ctx, tx, v, req.filter, req.order, req.limit+1)
		if err != nil {
			return 0, err
		}
		if resp.Truncated = len(list) > req.limit; resp.Truncated {
			list = list[:req.limit]
		}
		resp.Requests, resp.Sources = list, v.RawProvenance(int64(len(list)), v.RawWindow())
		return resp.Sources.N, nil
	})
	return resp, err
}
