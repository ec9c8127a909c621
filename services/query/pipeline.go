package query

import (
	"context"
	"net/http"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/services/query/pipeline"
)

func (s *Service) pipeline() httpapi.Route {
	return httpapi.Endpoint[struct{}, *api.Pipeline]{
		Method: http.MethodGet, Path: "/api/v1/pipeline", Access: httpapi.Admin,
		Decode: httpapi.NoRequest, Execute: s.getPipeline,
	}.Route()
}

func (s *Service) getPipeline(ctx context.Context, _ auth.Caller, _ struct{}) (resp *api.Pipeline, err error) {
	err = s.store.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		resp, err = pipeline.Read(ctx, tx, s.bounds(), s.now())
		return err
	})
	return resp, err
}

func (s *Service) deadLetters() httpapi.Route {
	return httpapi.Endpoint[int, *api.DeadLetterList]{
		Method: http.MethodGet, Path: "/api/v1/pipeline/dead", Access: httpapi.Admin,
		Query: []string{"limit"},
		Decode: func(r *http.Request) (int, error) {
			p := &params{q: r.URL.Query()}
			return p.limit(100), p.err
		},
		Execute: func(ctx context.Context, _ auth.Caller, limit int) (*api.DeadLetterList, error) {
			letters, err := s.readDeadLetters(ctx)
			return letters.List(limit), err
		},
	}.Route()
}

func (s *Service) deadLetter() httpapi.Route {
	return httpapi.Endpoint[int64, *api.DeadLetterContent]{
		Method: http.MethodGet, Path: "/api/v1/pipeline/dead/{sequence}", Access: httpapi.Admin,
		Decode: func(r *http.Request) (int64, error) {
			n, err := strconv.ParseInt(r.PathValue("sequence"), 10, 64)
			if err != nil || n < 1 {
				return 0, fault.Refuse("sequence", "positive", "sequence must be a positive number")
			}
			return n, nil
		},
		Execute: func(ctx context.Context, _ auth.Caller, sequence int64) (*api.DeadLetterContent, error) {
			letters, err := s.readDeadLetters(ctx)
			if err != nil {
				return nil, err
			}
			return letters.Find(sequence)
		},
	}.Route()
}

func (s *Service) readDeadLetters(ctx context.Context) (pipeline.DeadLetters, error) {
	var letters pipeline.DeadLetters
	err := s.store.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		letters, err = pipeline.ReadDeadLetters(ctx, tx)
		return err
	})
	return letters, err
}
