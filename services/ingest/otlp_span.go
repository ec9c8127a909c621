package ingest

import (
	"cmp"
	"encoding/hex"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/lakepulse/lakepulse/clients/go/rules"
	"github.com/lakepulse/lakepulse/pkg/event"
)

// spanIDs is the namespace of the ids of events made from spans: a span that an
// exporter sends again becomes the same event.
var spanIDs = uuid.MustParse("5f1d4c3e-6f0b-5a0e-9d7a-4b1f0c2d3e4f")

// span is what is read of an OTLP span. Both decoders make it, and neither keeps
// anything else of a request's body.
type span struct {
	process           int        // number of its resource in the request
	resource          attributes // shared by the resource's spans
	attributes        attributes
	trace, id, parent []byte
	name              string
	start, end        uint64 // nanoseconds since 1970
	local             bool   // its parent is a span of the same process
	inner             bool   // it is part of another span's request
	exception         string // type of its first exception, "" without one
	broken            string // why the span cannot be read; nothing else of it counts then
}

// kindServer is OTLP's number of the kind.
const kindServer = 2

// maxSpans bounds the spans of one request, of any kind. SDKs send 512 at most,
// collectors 8,192 unless told otherwise.
const maxSpans = 20_000

// attribute is a resource's or span's attribute as text.
type attribute struct{ key, value string }

// attributes finds values by key. Lists are short: a scan is faster than a map.
type attributes []attribute

// text returns the value as text, "" when it is not there.
func (list attributes) text(key string) string {
	for i := range list {
		if list[i].key == key {
			return list[i].value
		}
	}
	return ""
}

// handRead are the attributes that are read besides those in the table of fields.
var handRead = []string{
	"service.name", "http.request.method", "http.method", "http.route", "url.path", "http.target", "url.full", "http.url",
	"http.response.status_code", "http.status_code", "error.type",
}

// readAttributes are all attributes that anything here reads. Others are skipped
// where they stand.
var readAttributes = func() map[string]bool {
	names := map[string]bool{}
	for _, name := range slices.Concat(handRead, attributeNames) {
		names[name] = true
	}
	return names
}()

const (
	exceptionEvent = "exception"
	exceptionType  = "exception.type"
	maxAttribute   = 2048 // bytes of a value that are looked at; no field is longer
)

// appName makes an app's name of a service's: what a name may not hold becomes
// a dash. The namespace a service may have is no part of it.
func appName(service string) string {
	name := []byte(service)
	for i, c := range name {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && c != '.' && c != '_' && c != '-' {
			name[i] = '-'
		}
	}
	return strings.TrimLeft(string(name[:min(len(name), event.MaxApp)]), ".-_")
}

// unnamed reports whether an app's name is none, or the one that SDKs make up
// for a service that was not given a name.
func unnamed(app string) bool {
	return app == "" || app == "unknown_service" || strings.HasPrefix(app, "unknown_service-")
}

// performance returns the metric of a server's span, false for one that is not a
// user-facing request over HTTP. Attribute names are those of the stable HTTP
// conventions, then those from before.
func (s *span) performance() (event.Performance, bool) {
	a := s.attributes
	path := s.path()
	if rules.Excluded(path) {
		return event.Performance{}, false
	}
	took := int64(s.end - s.start) // wraps to below zero when time ran backwards
	p := event.Performance{
		ID:        uuid.NewSHA1(spanIDs, slices.Concat(s.trace, s.id)),
		Timestamp: time.Unix(0, int64(s.start)), // a time beyond the range is refused as such
		App:       appName(s.resource.text("service.name")),
		Endpoint:  s.endpoint(path), Method: s.method(), StatusCode: s.status(), ResponseTimeMS: float64(took) / 1e6,
		TraceID: hex.EncodeToString(s.trace),
	}
	setAttributesPerformance(&p, s.resource, a)
	if p.IsError() {
		p.ErrorType = cut(cmp.Or(a.text("error.type"), s.exception))
	}
	return p, true
}

// method returns the request's method, "" for a span that is not of HTTP.
func (s *span) method() string {
	return cmp.Or(s.attributes.text("http.request.method"), s.attributes.text("http.method"))
}

// path returns the path of the request, "" where the span does not say it.
func (s *span) path() string {
	a := s.attributes
	if target := cmp.Or(a.text("url.path"), a.text("http.target")); target != "" {
		path, _, _ := strings.Cut(target, "?")
		return path
	}
	if u, err := url.Parse(cmp.Or(a.text("url.full"), a.text("http.url"))); err == nil {
		return u.Path
	}
	return ""
}

// endpoint returns the route, else the reduced path, else the span's name.
func (s *span) endpoint(path string) string {
	if route := s.attributes.text("http.route"); route != "" {
		return rules.CleanText(route, event.MaxEndpoint)
	}
	if path != "" {
		return rules.ReducePath(path)
	}
	return rules.CleanText(s.name, event.MaxEndpoint)
}

// status returns the status a span names. A server's span that names none ended
// before it had answered (a panic does that): a 500.
func (s *span) status() int {
	for _, key := range []string{"http.response.status_code", "http.status_code"} {
		if text := s.attributes.text(key); text != "" {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil || n != float64(int(n)) {
				return 0 // refused for its status
			}
			return int(n)
		}
	}
	return 500
}

// cut shortens what an exporter has no way to shorten: losing the end of an
// instance's name is better than losing the request.
func cut(s string) string { return rules.CleanText(s, event.MaxText) }

// markInner marks the servers' spans that are inside of another server's span of
// the same process (a framework under an instrumented server): they are part of
// its request and no requests of their own. What only they know, the route, goes
// to the outer one.
func (t *traces) markInner() {
	servers := make(map[string]*span, len(t.spans))
	for _, s := range t.spans {
		if len(s.id) > 0 {
			servers[string(s.id)] = s
		}
	}
	for _, s := range t.spans {
		outer, complete := t.enclosing(servers, s)
		// With a local parent and the outer span in another export, it is inside of one too.
		s.inner = outer != nil || s.local && !complete
		if outer == nil {
			continue
		}
		if route := s.attributes.text("http.route"); route != "" && outer.attributes.text("http.route") == "" {
			outer.attributes = append(outer.attributes, attribute{"http.route", route})
		}
	}
}

// enclosing returns the server's span of the same process that a span is inside
// of, nil for none, and whether all its ancestors in the process are known.
func (t *traces) enclosing(servers map[string]*span, s *span) (outer *span, complete bool) {
	const furthest = 100 // steps; a circle of parents ends here
	at := string(s.parent)
	for range furthest {
		if at == "" {
			return nil, true
		}
		if outer := servers[at]; outer != nil && outer != s && outer.process == s.process && string(outer.trace) == string(s.trace) {
			return outer, true
		}
		next, known := t.parents[at]
		if !known {
			return nil, false
		}
		at = next
	}
	return nil, false
}
