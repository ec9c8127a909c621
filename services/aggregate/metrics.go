package aggregate

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	runs, hours *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	rows        prometheus.Counter
	deleted     prometheus.Counter
	clashes     prometheus.Counter
	line        prometheus.Gauge
	held        prometheus.Gauge
	tables      *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	const prefix = "lakepulse_aggregate_"
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
	}
	m := &metrics{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "runs_total",
			Help: "Runs that ended, by kind and status."}, []string{"kind", "status"}),
		hours: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "hours_total",
			Help: "Hours of a kind that were aggregated, by result."}, []string{"result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: prefix + "run_duration_seconds",
			Help: "How long runs took.", Buckets: []float64{.01, .05, .1, .5, 1, 5, 15, 60, 300, 1800}}, []string{"kind"}),
		rows:    counter("rows_total", "Raw rows that were aggregated, again included."),
		deleted: counter("rows_deleted_total", "Raw rows that were deleted after their time."),
		clashes: counter("clashes_total", "Transactions that met another and were run again."),
		line: prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + "purge_line_timestamp_seconds",
			Help: "Raw rows before this are gone and stand in aggregates."}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + "purge_line_held",
			Help: "1 when something keeps the purge line from where it belongs."}),
		tables: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "lakepulse_table_rows",
			Help: "Rows of a table."}, []string{"table"}),
	}
	// A counter that is born with its first value has no increase: the alert on the
	// first failed run would stay silent.
	for _, kind := range []Kind{Rollup, Retention} {
		for _, status := range []Status{Done, Partial, Failed} {
			m.runs.WithLabelValues(string(kind), string(status))
		}
	}
	for _, result := range []string{"done", "failed"} {
		m.hours.WithLabelValues(result)
	}
	if reg != nil {
		reg.MustRegister(m.runs, m.hours, m.seconds, m.rows, m.deleted, m.clashes, m.line, m.held, m.tables)
	}
	return m
}

func (m *metrics) finished(r *Run) {
	m.runs.WithLabelValues(string(r.Kind), string(r.Status)).Inc()
	m.seconds.WithLabelValues(string(r.Kind)).Observe(r.Duration().Seconds())
	m.rows.Add(float64(r.RowsAggregated))
	if r.Kind != Retention {
		return
	}
	m.held.Set(0)
	if r.HeldBy != "" {
		m.held.Set(1)
	}
}
