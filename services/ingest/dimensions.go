package ingest

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/fields"
)

// dimensions bounds how many different values of a grouped field an app sends in
// an hour, as the table of fields says. What comes past the bound is stored as
// fields.Other and counted: a sender that makes up endpoints cannot fill the
// aggregates and the pages of everybody.
//
// The bound holds per ingest process: with n of them an app has n times as many
// at most. Memory is bounded by the apps of an hour, whose number is bounded too.
type dimensions struct {
	cut *prometheus.CounterVec // by kind and field

	mu   sync.Mutex
	hour time.Time
	apps map[event.Kind]map[string]struct{}
	seen map[dimension]map[string]struct{}
}

// dimension is one grouped field of one app.
type dimension struct {
	kind       event.Kind
	app, field string
}

func newDimensions(cut *prometheus.CounterVec) *dimensions {
	d := &dimensions{cut: cut}
	d.clear(time.Time{})
	return d
}

func (d *dimensions) clear(hour time.Time) {
	d.hour, d.apps, d.seen = hour, map[event.Kind]map[string]struct{}{}, map[dimension]map[string]struct{}{}
}

// bound replaces values past their bounds. Its error is for an event of an app
// past the bound on apps, which has no other place, and for a value that only
// ingest may give.
func (d *dimensions) bound(kind event.Kind, e event.Event, now time.Time) (failed *event.FieldError) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if hour := now.Truncate(time.Hour); !hour.Equal(d.hour) {
		d.clear(hour)
	}
	app := *e.Head().App
	e.Dimensions(func(field string, value *string, most int) {
		switch {
		case failed != nil || *value == "":
		case *value == fields.Other:
			failed = &event.FieldError{Field: field, Reason: "must not be " + fields.Other + ": it stands for values past the bound"}
		case field == "app":
			if d.apps[kind] == nil {
				d.apps[kind] = map[string]struct{}{}
			}
			if !admit(d.apps[kind], app, most) {
				failed = &event.FieldError{Field: field, Reason: "is one too many: ingest takes a bounded number of apps an hour"}
			}
		case !admit(d.values(dimension{kind, app, field}), *value, most):
			*value = fields.Other
			d.cut.WithLabelValues(string(kind), field).Inc()
		}
	})
	return failed
}

func (d *dimensions) values(of dimension) map[string]struct{} {
	known := d.seen[of]
	if known == nil {
		known = map[string]struct{}{}
		of.app = strings.Clone(of.app) // the map outlives the body the name is a part of
		d.seen[of] = known
	}
	return known
}

// admit reports whether value is one of the first of its kind.
func admit(known map[string]struct{}, value string, most int) bool {
	if _, there := known[value]; there {
		return true
	}
	if len(known) >= most {
		return false
	}
	known[strings.Clone(value)] = struct{}{} // as in values
	return true
}
