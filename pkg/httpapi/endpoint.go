package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/lakepulse/lakepulse/pkg/auth"
)

// Access says who may call an endpoint.
type Access int

const (
	// Public needs no identity.
	Public Access = iota
	// Authenticated needs a caller who has proved who they are.
	Authenticated
	// Admin needs an administrator.
	Admin
	// Operator needs an administrator or an allow-listed service principal.
	Operator
	// Reader needs an administrator, or a person who may read the one app that the
	// query parameter app names.
	Reader
	// AnyReader needs an administrator, or a person who may read some app. The
	// endpoint answers of Caller.ReadableApps only.
	AnyReader
)

// Endpoint is one operation with a typed request and response. Its exported
// fields are the whole of it: building one starts nothing.
type Endpoint[Req, Resp any] struct {
	Method string
	Path   string // pattern of net/http.ServeMux, without the method
	Access Access
	Status int // of success; 0 means 200
	// Query are the query parameters there are; every other is refused.
	Query []string
	// Allow refuses callers before their body is read; nil allows all that Access allows.
	Allow func(caller auth.Caller) error
	// Gate bounds the requests worked on at once, and so the bodies held in memory.
	// Those beyond it wait a moment, then get 503. nil is no bound.
	Gate *Gate
	// Large bounds those of them that call EnterLarge.
	Large *Gate
	// BodyTimeout is how long a body may take to arrive; 0 leaves that to the server.
	BodyTimeout time.Duration
	// Decode reads the request. Its errors are *fault.Error naming the field.
	Decode func(r *http.Request) (Req, error)
	// Execute does the work. The response is written as JSON.
	Execute func(ctx context.Context, caller auth.Caller, req Req) (Resp, error)
	// Location, when set, says at which path the response is found from now on:
	// the header of that name.
	Location func(resp Resp) string
}

// Route is an endpoint ready to be served.
type Route struct {
	Method string
	Path   string
	Access Access
	query  []string                       // the query parameters there are
	allow  func(caller auth.Caller) error // nil: all that Access allows
	gate   *Gate
	large  *Gate
	body   time.Duration
	// handle decodes the request, calls read once that is done, and answers.
	handle func(w http.ResponseWriter, r *http.Request, caller auth.Caller, read func()) error
}

// Route returns the endpoint as a route.
func (e Endpoint[Req, Resp]) Route() Route {
	status := e.Status
	if status == 0 {
		status = http.StatusOK
	}
	return Route{Method: e.Method, Path: e.Path, Access: e.Access, query: e.Query, allow: e.Allow, gate: e.Gate, large: e.Large, body: e.BodyTimeout,
		handle: func(w http.ResponseWriter, r *http.Request, caller auth.Caller, read func()) error {
			req, err := e.Decode(r)
			read()
			if err != nil {
				return err
			}
			resp, err := e.Execute(r.Context(), caller, req)
			if err != nil {
				return err
			}
			if e.Location != nil {
				w.Header().Set("Location", e.Location(resp))
			}
			return writeJSON(w, status, resp)
		}}
}

// Streamed is an operation that writes its own answer piece by piece.
type Streamed[Req any] struct {
	Method string
	Path   string
	Access Access
	// Query, Allow, Gate, Large and BodyTimeout are as in Endpoint.
	Query       []string
	Allow       func(caller auth.Caller) error
	Gate, Large *Gate
	BodyTimeout time.Duration
	Decode      func(r *http.Request) (Req, error)
	// Write sends the answer. An error before the first byte becomes an error
	// answer; after it the connection is cut, so that nobody takes a half for a whole.
	Write func(w http.ResponseWriter, r *http.Request, caller auth.Caller, req Req) error
}

// Route returns the operation as a route.
func (s Streamed[Req]) Route() Route {
	return Route{Method: s.Method, Path: s.Path, Access: s.Access, query: s.Query, allow: s.Allow, gate: s.Gate, large: s.Large, body: s.BodyTimeout,
		handle: func(w http.ResponseWriter, r *http.Request, caller auth.Caller, read func()) error {
			req, err := s.Decode(r)
			read()
			if err != nil {
				return err
			}
			return s.Write(w, r, caller, req)
		}}
}

// NoRequest is the Decode of endpoints that take nothing.
func NoRequest(*http.Request) (struct{}, error) { return struct{}{}, nil }

// QueryParameters are the query parameters that a route knows.
func (r Route) QueryParameters() []string { return r.query }

// Statuser is implemented by responses that choose their own status.
type Statuser interface{ HTTPStatus() int }
