package ingest

import (
	"net/http"
	"sync"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/lakepulse/lakepulse/pkg/auth"
)

// An SDK that is given only the base endpoint sends logs and metrics too. They
// are answered as OTLP asks and not used: an error would fill the app's log for
// as long as it runs.

type signal struct {
	name, path string
	response   func() proto.Message
}

var unusedSignals = []signal{
	{"logs", "/v1/logs", func() proto.Message { return &collogs.ExportLogsServiceResponse{} }},
	{"metrics", "/v1/metrics", func() proto.Message { return &colmetrics.ExportMetricsServiceResponse{} }},
}

// unused is an export request of a signal that is not used.
type unused struct {
	signal   signal
	encoding string
}

func (s *Service) decodeUnused(of signal) func(*http.Request) (unused, error) {
	return func(r *http.Request) (unused, error) {
		kind, err := encodingOf(r)
		if err != nil {
			return unused{}, err
		}
		_, err = s.readBody(r) // to its end: the connection is used again
		return unused{of, kind}, err
	}
}

func (s *Service) ignoreSignal(w http.ResponseWriter, _ *http.Request, caller auth.Caller, req unused) error {
	s.metrics.unusedSignals.WithLabelValues(req.signal.name).Inc()
	if s.senders.first(req.signal.name + "\x00" + string(caller.Kind) + "\x00" + caller.App + "\x00" + caller.UserID) {
		s.log.Info("ingest: OTLP "+req.signal.name+" are accepted and not used", "app", caller.App, "caller", caller.UserID)
	}
	return answerOTLP(w, req.encoding, req.signal.response())
}

// maxSenders bounds the senders that are remembered; past it nothing more is logged.
const maxSenders = 1000

// seen remembers what was seen before.
type seen struct {
	mu    sync.Mutex
	names map[string]bool
}

// first reports whether name is new.
func (s *seen) first(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names[name] || len(s.names) >= maxSenders {
		return false
	}
	if s.names == nil {
		s.names = map[string]bool{}
	}
	s.names[name] = true
	return true
}
