package ingest

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/fields"
)

type metrics struct {
	accepted      *prometheus.CounterVec
	refused       *prometheus.CounterVec
	dropped       *prometheus.CounterVec
	cut           *prometheus.CounterVec
	unavailable   prometheus.Counter
	ignoredSpans  prometheus.Counter
	unusedSignals *prometheus.CounterVec
	publish       prometheus.Histogram
}

// refusable returns the fields for which an event of a kind can be refused.
func refusable(kind event.Kind) []string {
	names := []string{"event"} // it is no JSON object
	for _, k := range fields.Kinds {
		if k.Name != string(kind) {
			continue
		}
		for _, f := range k.Fields {
			if !f.ByIngest {
				names = append(names, f.Name)
			}
		}
	}
	return names
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lakepulse_ingest_accepted_events_total", Help: "Events answered with 202, so durable in the log.",
		}, []string{"kind"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lakepulse_ingest_refused_events_total", Help: "Invalid events, by the field that broke a rule.",
		}, []string{"kind", "field"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lakepulse_ingest_sender_dropped_events_total", Help: "Events senders gave up, as they reported.",
		}, []string{"kind"}),
		cut: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lakepulse_ingest_values_past_bound_total", Help: "Values stored as (other): the app had too many different ones of the field this hour.",
		}, []string{"kind", "field"}),
		unavailable: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lakepulse_ingest_unavailable_requests_total", Help: "Requests answered with 503 because the log did not take their events.",
		}),
		ignoredSpans: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lakepulse_ingest_ignored_spans_total", Help: "OTLP spans that are not requests to an HTTP server.",
		}),
		unusedSignals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lakepulse_ingest_unused_otlp_requests_total", Help: "OTLP requests with logs or metrics, which are not used.",
		}, []string{"signal"}),
		publish: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lakepulse_ingest_publish_duration_seconds", Help: "Time until the log had a request's events.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
	}
	// A counter that is born with its first value has no increase: the alert on the
	// first dropped event would stay silent.
	for _, kind := range event.Kinds() {
		m.accepted.WithLabelValues(string(kind))
		m.dropped.WithLabelValues(string(kind))
		for _, field := range refusable(kind) {
			m.refused.WithLabelValues(string(kind), field)
		}
	}
	if reg != nil {
		reg.MustRegister(m.accepted, m.refused, m.dropped, m.cut, m.unavailable, m.ignoredSpans, m.unusedSignals, m.publish)
	}
	return m
}
