package writer

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lakepulse/lakepulse/pkg/rawstore"
)

type metrics struct {
	stored, duplicate, summarised, dead, redelivered prometheus.Counter
	rows, seconds                                    prometheus.Histogram
	lagMessages, lagSeconds, outage, deadLetters     prometheus.Gauge
	gap                                              prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "lakepulse_writer_" + name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "lakepulse_writer_" + name, Help: help})
	}
	m := &metrics{
		stored:      counter("stored_events_total", "Events that became rows."),
		duplicate:   counter("duplicate_events_total", "Events that were rows already."),
		summarised:  counter("summarised_events_total", "Events below the purge line: they stand in the aggregates."),
		dead:        counter("dead_events_total", "Events moved to the dead letters."),
		redelivered: counter("redelivered_messages_total", "Messages that were delivered before."),
		lagMessages: gauge("lag_messages", "Messages of the log that are not stored yet; NaN while unknown."),
		lagSeconds:  gauge("lag_seconds", "Age of the oldest message of the log that is not stored yet; NaN while unknown."),
		gap:         gauge("gap_messages", "Messages that were acknowledged and that the database lacks; they are stored again from the log."),
		outage:      gauge("database_outage", "1 while the database does not store."),
		deadLetters: gauge("dead_letters", "Messages in the dead-letter stream."),
		rows: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lakepulse_writer_batch_rows", Help: "Rows of a stored batch.", Buckets: prometheus.ExponentialBuckets(1, 4, 8),
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lakepulse_writer_store_duration_seconds", Help: "Time to store a batch.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30, 120},
		}),
	}
	m.lagUnknown()
	if reg != nil {
		reg.MustRegister(m.stored, m.duplicate, m.summarised, m.dead, m.redelivered, m.lagMessages, m.lagSeconds,
			m.outage, m.gap, m.deadLetters, m.rows, m.seconds)
	}
	return m
}

// lagUnknown is told while the log cannot be asked: 0 would read as healthy.
func (m *metrics) lagUnknown() {
	m.lagMessages.Set(math.NaN())
	m.lagSeconds.Set(math.NaN())
}

func (m *metrics) observe(out rawstore.Outcome, rows int, took time.Duration) {
	m.stored.Add(float64(out.Stored))
	m.duplicate.Add(float64(out.Duplicate))
	m.summarised.Add(float64(out.Summarised))
	m.rows.Observe(float64(rows))
	m.seconds.Observe(took.Seconds())
}
