package ingest

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/settings"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// publisher puts a batch onto the log and returns once it is durable there.
type publisher interface {
	Publish(ctx context.Context, b *event.Batch, correlation string) error
}

// knownApps says which apps administrators have given a key or a principal.
type knownApps interface{ KnowsApp(app string) bool }

// Params are what the service is made of.
type Params struct {
	Config    Config
	Settings  *settings.Live // nil: the Config holds
	Publisher publisher
	Apps      knownApps // nil: every app is known
	Reports   reporter  // where ledger reports go
	Now       func() time.Time
	Log       *slog.Logger
	Registry  prometheus.Registerer
}

// Service takes batches in.
type Service struct {
	cfg      Config
	settings *settings.Live
	pub      publisher
	apps     knownApps
	now      func() time.Time
	ledger   *ledger
	metrics  *metrics
	log      *slog.Logger
	senders  seen
	gate     *httpapi.Gate // requests
	large    *httpapi.Gate // of them, those with a large body

	dimensions *dimensions
}

// New returns a service. Its ledger runs once Start is called.
func New(p Params) (*Service, error) {
	if err := p.Config.Validate(); err != nil {
		return nil, err
	}
	m := newMetrics(p.Registry)
	return &Service{
		cfg: p.Config, settings: p.Settings, pub: p.Publisher, apps: p.Apps, now: p.Now, log: p.Log, metrics: m,
		dimensions: newDimensions(m.cut),
		ledger:     newLedger(p.Reports, p.Config, p.Now, p.Log),
		gate:       httpapi.NewGate(p.Config.MaxInFlight), large: httpapi.NewGate(p.Config.MaxLarge),
	}, nil
}

// Start begins to report counts to the ledger.
func (s *Service) Start() { s.ledger.start() }

// Stop reports what is left to report and ends.
func (s *Service) Stop(ctx context.Context) error { return s.ledger.stop(ctx) }

// CountDirect counts a batch that reached the log without a request: the
// product's own records. Without it the ledger would store more than it accepts.
func (s *Service) CountDirect(b *event.Batch, dropped int64) {
	s.ledger.add(stream.LedgerEntry{App: b.App, Kind: b.Kind, Outcome: stream.OutcomeAccepted, Events: int64(b.Len())})
	s.metrics.accepted.WithLabelValues(string(b.Kind)).Add(float64(b.Len()))
	if dropped > 0 {
		s.ledger.add(stream.LedgerEntry{App: b.App, Kind: b.Kind, Outcome: stream.OutcomeDropped, Events: dropped})
		s.metrics.dropped.WithLabelValues(string(b.Kind)).Add(float64(dropped))
	}
}

// Routes returns the endpoints that take events in.
func (s *Service) Routes() []httpapi.Route { return append(s.eventRoutes(), s.otlpRoutes()...) }

// kindOf is how events of one kind are read from JSON.
type kindOf[E any] struct {
	kind  event.Kind
	blank E
	set   setter[E]
	list  func(*event.Batch) *[]E
}

// pointer is a pointer to an event.
type pointer[E any] interface {
	*E
	event.Event
}

// eventRoute returns the endpoint that takes events of a kind.
func eventRoute[E any, P pointer[E]](s *Service, k kindOf[E]) httpapi.Route {
	return httpapi.Endpoint[envelope[E], answer]{
		Method: http.MethodPost, Path: k.kind.IngestPath(), Access: httpapi.Authenticated,
		Status: http.StatusAccepted, Gate: s.gate, Large: s.large, BodyTimeout: s.cfg.BodyTimeout,
		Allow:  func(caller auth.Caller) error { return s.maySend(caller, k.kind) },
		Decode: func(r *http.Request) (envelope[E], error) { return decodeBody(s, r, k) },
		Execute: func(ctx context.Context, caller auth.Caller, env envelope[E]) (answer, error) {
			return takeEvents[E, P](ctx, s, k, caller, env)
		},
	}.Route()
}

// maySend refuses a person who sends what only app instances may.
func (s *Service) maySend(caller auth.Caller, kind event.Kind) error {
	if caller.Kind != auth.KindUser || s.cfg.Keyless || kind.FromPeople() {
		return nil
	}
	return fault.New(fault.Forbidden, "Events of kind %s need the API key of an app, or an allow-listed service principal", kind)
}

func decodeBody[E any](s *Service, r *http.Request, k kindOf[E]) (envelope[E], error) {
	body, err := s.readBody(r)
	if err != nil {
		return envelope[E]{}, err
	}
	env, err := decode(body, k.blank, k.set)
	if err != nil {
		return env, err
	}
	if env.total > event.MaxBatch {
		return env, batchTooLarge(env.total)
	}
	if env.total == 0 {
		return env, invalid("events", "must hold at least one event")
	}
	return env, nil
}

func batchTooLarge(n int) error {
	const message = "Batch size exceeds maximum of 1000 events"
	return fault.New(fault.TooLarge, message).
		With("+detail", message).With("+max_batch_size", event.MaxBatch).With("+received", n)
}

// takeEvents checks the events of a request and publishes those that are valid.
func takeEvents[E any, P pointer[E]](ctx context.Context, s *Service, k kindOf[E], caller auth.Caller, env envelope[E]) (answer, error) {
	in := newIntake(s, k.kind, env.dropped)
	s.ledger.use(caller.KeyID, in.received)
	for i := range env.events {
		e := P(&env.events[i])
		if err := in.check(caller, e, env.faults[i]); err != nil {
			in.refuse(i, env.id(i), *e.Head().App, err)
			continue
		}
		list := k.list(in.batch(*e.Head().App))
		if *list == nil && len(in.batches) == 1 {
			*list = env.events[:0] // the first app's stay where they are: writing never overtakes reading
		}
		*list = append(*list, env.events[i])
		in.places = append(in.places, place{index: i, batch: in.latest, at: len(*list) - 1})
	}
	return in.finish(ctx)
}

// check completes an event with what ingest knows, and returns the rule it
// breaks. decoded is what was wrong with its JSON.
func (in *intake) check(caller auth.Caller, e event.Event, decoded *event.FieldError) *event.FieldError {
	s, h, err := in.s, e.Head(), decoded
	if err == nil {
		err = s.appOf(caller, h.App)
	}
	// A person's events are theirs. Only an app instance, or a developer's
	// machine, may say whose they are.
	if caller.Kind == auth.KindUser && in.kind.FromPeople() && (!s.cfg.Keyless || *h.UserID == "") {
		*h.UserID = caller.UserID
	}
	if *h.ID == uuid.Nil {
		*h.ID = event.NewID()
	}
	e.Normalize()
	*h.ReceivedAt = in.received
	if err == nil {
		err = e.Validate(in.window)
	}
	if err == nil {
		err = s.knownApp(caller, *h.App)
	}
	if err == nil {
		err = s.dimensions.bound(in.kind, e, in.received)
	}
	return err
}

// knownApp refuses what a person sends for an app that nobody has made: the list
// of apps is for administrators to fill.
func (s *Service) knownApp(caller auth.Caller, app string) *event.FieldError {
	if caller.Kind != auth.KindUser || s.cfg.Keyless || s.apps == nil || app == s.cfg.DefaultApp || app == event.OwnApp || s.apps.KnowsApp(app) {
		return nil
	}
	return &event.FieldError{Field: "app", Reason: "is not known here: an administrator adds apps on the page Apps, with a key"}
}

// appOf settles which app an event belongs to.
func (s *Service) appOf(caller auth.Caller, app *string) *event.FieldError {
	switch {
	case caller.App != "" && *app != "" && *app != caller.App:
		return &event.FieldError{Field: "app", Reason: "must be the app of the API key: " + caller.App}
	case caller.App != "":
		*app = caller.App
	case *app == "" && caller.Kind == auth.KindService:
		return &event.FieldError{Field: "app", Reason: "is required from a service principal"}
	case *app == "":
		*app = s.cfg.DefaultApp
	}
	return nil
}

// intake is one request's events on their way to the log.
type intake struct {
	s        *Service
	kind     event.Kind
	received time.Time
	window   event.Window
	batches  map[string]*event.Batch
	latest   *event.Batch // of batches, the one that took an event last
	rejected []rejection
	refused  map[[2]string]int64 // app, field
	dropped  int64
	places   []place // of kept events
	lost     notStored
}

func newIntake(s *Service, kind event.Kind, dropped int64) *intake {
	now := s.now().UTC().Truncate(time.Microsecond)
	return &intake{
		s: s, kind: kind, received: now, window: event.Window{From: s.settings.OldestAccepted(now, s.cfg.RawRetention), To: now.Add(event.MaxAhead)},
		batches: map[string]*event.Batch{}, dropped: dropped,
	}
}

// batch returns the batch of an app. Nearly every request is of one app.
func (in *intake) batch(app string) *event.Batch {
	if in.latest != nil && in.latest.App == app {
		return in.latest
	}
	b := in.batches[app]
	if b == nil {
		app = strings.Clone(app) // the ledger keeps it, and must not keep the body it is a part of
		b = &event.Batch{App: app, Kind: in.kind}
		in.batches[app] = b
	}
	in.latest = b
	return b
}

func (in *intake) refuse(index int, id, app string, err *event.FieldError) {
	in.rejected = append(in.rejected, rejection{Index: index, ID: id, Field: err.Field, Reason: err.Reason})
	if in.refused == nil {
		in.refused = map[[2]string]int64{}
	}
	if !event.ValidApp(app) {
		app = "" // the ledger's keys are bounded: a made-up name is not one
	}
	in.refused[[2]string{strings.Clone(app), err.Field}]++ // as in batch
}

// finish publishes what is kept and answers once it is durable.
func (in *intake) finish(ctx context.Context) (answer, error) {
	in.countRefused()
	if err := in.publish(ctx); err != nil {
		in.s.metrics.unavailable.Inc()
		return answer{}, err
	}
	kept := 0
	for app, b := range in.batches {
		kept += b.Len()
		in.s.ledger.add(stream.LedgerEntry{App: app, Kind: in.kind, Outcome: stream.OutcomeAccepted, Events: int64(b.Len())})
		if in.dropped > 0 { // a sender repeats its count until it is answered 202
			in.s.ledger.add(stream.LedgerEntry{App: app, Kind: in.kind, Outcome: stream.OutcomeDropped, Events: in.dropped})
			in.s.metrics.dropped.WithLabelValues(string(in.kind)).Add(float64(in.dropped))
			in.dropped = 0
		}
	}
	in.s.metrics.accepted.WithLabelValues(string(in.kind)).Add(float64(kept))
	dead := in.rejections()
	return newAnswer(kept-len(dead), append(in.rejected, dead...), in.received), nil
}

func (in *intake) countRefused() {
	for key, n := range in.refused {
		in.s.ledger.add(stream.LedgerEntry{App: key[0], Kind: in.kind, Outcome: stream.OutcomeRefused, Reason: key[1], Events: n})
		in.s.metrics.refused.WithLabelValues(string(in.kind), key[1]).Add(float64(n))
	}
}

func (in *intake) publish(ctx context.Context) error {
	correlation := httpapi.CorrelationID(ctx)
	started := time.Now()
	defer func() { in.s.metrics.publish.Observe(time.Since(started).Seconds()) }()
	if len(in.batches) == 1 {
		for _, b := range in.batches {
			return in.lost.add(in.s.pub.Publish(ctx, b, correlation))
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, b := range in.batches {
		g.Go(func() error { return in.lost.add(in.s.pub.Publish(ctx, b, correlation)) })
	}
	return g.Wait()
}
