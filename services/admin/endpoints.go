package admin

import (
	"context"
	"net/http"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/apps"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
)

const path = "/api/v1/admin"

// Service answers administrators.
type Service struct {
	registry *apps.Registry
	mirror   *mirror
}

// Routes returns every route of the service.
func (s *Service) Routes() []httpapi.Route {
	return []httpapi.Route{
		httpapi.Endpoint[struct{}, api.AdminAppList]{
			Method: http.MethodGet, Path: path + "/apps", Access: httpapi.Admin, Decode: httpapi.NoRequest,
			Execute: func(ctx context.Context, _ auth.Caller, _ struct{}) (api.AdminAppList, error) { return s.list(ctx) },
		}.Route(),
		change(s, "POST", "/apps", func(ctx context.Context, by string, r request[api.NewApp]) error {
			note := ""
			if r.body.Note != nil {
				note = *r.body.Note
			}
			return s.registry.Create(ctx, r.body.App, note, by)
		}),
		change(s, "DELETE", "/apps/{app}", func(ctx context.Context, _ string, r request[none]) error {
			return s.registry.Remove(ctx, r.app)
		}),
		s.createKey(),
		change(s, "POST", "/keys/{id}/revoke", func(ctx context.Context, _ string, r request[none]) error {
			return s.registry.RevokeKey(ctx, r.id)
		}),
		change(s, "POST", "/apps/{app}/principals", func(ctx context.Context, by string, r request[api.Principal]) error {
			return s.registry.AssignPrincipal(ctx, r.app, r.body.Principal, by)
		}),
		change(s, "POST", "/apps/{app}/principals/remove", func(ctx context.Context, _ string, r request[api.Principal]) error {
			return s.registry.RemovePrincipal(ctx, r.app, r.body.Principal)
		}),
		change(s, "POST", "/apps/{app}/readers", func(ctx context.Context, by string, r request[api.Reader]) error {
			return s.registry.AddReader(ctx, r.app, reader(r.body), by)
		}),
		change(s, "POST", "/apps/{app}/readers/remove", func(ctx context.Context, _ string, r request[api.Reader]) error {
			return s.registry.RemoveReader(ctx, r.app, reader(r.body))
		}),
	}
}

func reader(r api.Reader) apps.Reader {
	return apps.Reader{Type: apps.ReaderType(r.Type), Name: r.Name}
}

// none is the body of requests without one: its members are refused.
type none struct{}

// request is what every change may be told.
type request[Body any] struct {
	app, id string // from the path
	body    Body
}

// change is the endpoint of one change: it makes the change, brings it to the log
// and answers with the record as it is then.
func change[Body any](s *Service, method, pattern string, do func(ctx context.Context, by string, r request[Body]) error) httpapi.Route {
	return httpapi.Endpoint[request[Body], api.AdminAppList]{
		Method: method, Path: path + pattern, Access: httpapi.Admin, Decode: decode[Body],
		Execute: func(ctx context.Context, caller auth.Caller, r request[Body]) (api.AdminAppList, error) {
			if err := do(ctx, caller.UserID, r); err != nil {
				return api.AdminAppList{}, err
			}
			s.mirror.follow(ctx)
			return s.list(ctx)
		},
	}.Route()
}

func (s *Service) createKey() httpapi.Route {
	return httpapi.Endpoint[request[api.NewKey], api.CreatedKey]{
		Method: http.MethodPost, Path: path + "/apps/{app}/keys", Access: httpapi.Admin, Status: http.StatusCreated,
		Decode: decode[api.NewKey],
		Execute: func(ctx context.Context, caller auth.Caller, r request[api.NewKey]) (api.CreatedKey, error) {
			note := ""
			if r.body.Note != nil {
				note = *r.body.Note
			}
			plain, key, err := s.registry.CreateKey(ctx, r.app, note, caller.UserID)
			if err != nil {
				return api.CreatedKey{}, err
			}
			s.mirror.follow(ctx)
			return api.CreatedKey{ID: key.ID, App: key.App, Key: plain}, nil
		},
	}.Route()
}

func decode[Body any](r *http.Request) (request[Body], error) {
	req := request[Body]{app: r.PathValue("app"), id: r.PathValue("id")}
	var err error
	req.body, err = httpapi.DecodeJSON[Body](r)
	return req, err
}

func (s *Service) list(ctx context.Context) (api.AdminAppList, error) {
	list, err := s.registry.List(ctx)
	if err != nil {
		return api.AdminAppList{}, err
	}
	answer := api.AdminAppList{Apps: make([]api.AdminApp, len(list))}
	for i := range list {
		answer.Apps[i] = describe(&list[i])
	}
	return answer, nil
}

func describe(a *apps.App) api.AdminApp {
	answer := api.AdminApp{
		App: a.App, Note: optional(a.Note), CreatedAt: a.CreatedAt.UTC(), CreatedBy: a.CreatedBy,
		Keys: []api.AdminKey{}, Principals: append([]string{}, a.Principals...), Readers: []api.Reader{}, Clients: []api.AdminClient{},
	}
	for _, k := range a.Keys {
		answer.Keys = append(answer.Keys, api.AdminKey{
			ID: k.ID, Note: optional(k.Note), CreatedAt: k.Created.UTC(), CreatedBy: k.CreatedBy, RevokedAt: k.RevokedAt, LastUsedAt: k.LastUsed,
		})
	}
	for _, r := range a.Readers {
		answer.Readers = append(answer.Readers, api.Reader{Type: api.ReaderType(r.Type), Name: r.Name})
	}
	for _, c := range a.Clients {
		answer.Clients = append(answer.Clients, api.AdminClient{Client: c.Name, Version: c.Version, LastSeen: c.LastSeen.UTC()})
	}
	return answer
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
