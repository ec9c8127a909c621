package aggregate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
)

const runsPath = "/api/v1/aggregation/runs"

// Subject is where the NATS micro-service takes requests for a retention run.
// Who may publish to it is NATS' affair.
const Subject = "lakepulse.aggregate.run"

// Routes returns the service's HTTP endpoints.
func (s *Service) Routes() []httpapi.Route {
	return []httpapi.Route{
		httpapi.Endpoint[struct{}, api.AggregationRun]{
			Method: http.MethodPost, Path: runsPath, Access: httpapi.Operator, Status: http.StatusAccepted,
			Decode: httpapi.DecodeJSON[struct{}], Execute: s.post,
			Location: func(run api.AggregationRun) string { return runsPath + "/" + run.ID.String() },
		}.Route(),
		httpapi.Endpoint[int, api.AggregationRunList]{
			Method: http.MethodGet, Path: runsPath, Access: httpapi.Operator, Query: []string{"limit"}, Decode: decodeLimit, Execute: s.list,
		}.Route(),
		httpapi.Endpoint[uuid.UUID, api.AggregationRun]{
			Method: http.MethodGet, Path: runsPath + "/{id}", Access: httpapi.Operator, Decode: decodeID, Execute: s.get,
		}.Route(),
	}
}

func (s *Service) post(ctx context.Context, caller auth.Caller, _ struct{}) (api.AggregationRun, error) {
	run, err := s.Request(ctx, Request{
		Trigger: TriggerAPI, RequestedBy: cmp.Or(caller.UserID, caller.App), CorrelationID: httpapi.CorrelationID(ctx),
	})
	if err != nil {
		return api.AggregationRun{}, unavailable(err)
	}
	return run.Describe(), nil
}

func (s *Service) list(ctx context.Context, _ auth.Caller, limit int) (api.AggregationRunList, error) {
	runs, err := metricsdb.ListRuns(ctx, s.runner.store.pool, limit)
	if err != nil {
		return api.AggregationRunList{}, unavailable(err)
	}
	views := make([]api.AggregationRun, len(runs))
	for i := range runs {
		views[i] = runs[i].Describe()
	}
	return api.AggregationRunList{Runs: views}, nil
}

func (s *Service) get(ctx context.Context, _ auth.Caller, id uuid.UUID) (api.AggregationRun, error) {
	run, err := metricsdb.GetRun(ctx, s.runner.store.pool, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return api.AggregationRun{}, fault.New(fault.NotFound, "There is no aggregation run %s", id)
	}
	if err != nil {
		return api.AggregationRun{}, unavailable(err)
	}
	return run.Describe(), nil
}

func unavailable(err error) error {
	return fault.Wrap(err, fault.Unavailable, "Data temporarily unavailable").After(5 * time.Second)
}

func decodeLimit(r *http.Request) (int, error) {
	const least, most, usual = 1, 1000, 50
	if !r.URL.Query().Has("limit") {
		return usual, nil
	}
	n, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || n < least || n > most {
		return 0, fault.New(fault.Invalid, "limit: must be a whole number from %d to %d", least, most).With("field", "limit")
	}
	return n, nil
}

func decodeID(r *http.Request) (uuid.UUID, error) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		return id, fault.New(fault.Invalid, "id: must be a UUID").With("field", "id")
	}
	return id, nil
}

// Offer answers requests on Subject with the run that will be done, until the
// returned service is stopped.
func (s *Service) Offer(nc *nats.Conn, version string) (io.Closer, error) {
	svc, err := micro.AddService(nc, micro.Config{
		Name: "lakepulse-aggregate", Version: version, Description: "Triggers an aggregation run: roll-up, then retention.",
		Endpoint: &micro.EndpointConfig{Subject: Subject, Handler: micro.HandlerFunc(s.answer)},
	})
	if err != nil {
		return nil, err
	}
	return closer(svc.Stop), nil
}

type closer func() error

func (c closer) Close() error { return c() }

func (s *Service) answer(req micro.Request) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	run, err := s.Request(ctx, Request{
		Trigger: TriggerMessage, RequestedBy: "nats", CorrelationID: nats.Header(req.Headers()).Get(httpapi.HeaderCorrelation),
	})
	if err != nil {
		s.runner.log.Error("aggregate: run requested by message not begun", "error", err)
		err = req.Error("503", "Data temporarily unavailable", nil)
	} else {
		var body []byte
		if body, err = json.Marshal(run.Describe()); err == nil {
			err = req.Respond(body)
		}
	}
	if err != nil { // the one who asked is gone, or the connection is
		s.runner.log.Debug("aggregate: request by message not answered", "error", err)
	}
}
