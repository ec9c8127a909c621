package query

import (
	"github.com/lakepulse/lakepulse/pkg/event"
)

// tier is a pair of aggregate tables of the same columns.
type tier struct{ hours, days string }

var (
	// byKey has a row per endpoint and method, or per event type.
	byKey = tier{hours: `aggregated_metrics WHERE `, days: `aggregated_days WHERE `}
	// byApp has a row per app.
	byApp = tier{
		hours: `aggregated_totals WHERE resolution = 'hour' AND `,
		days:  `aggregated_totals WHERE resolution = 'day' AND `,
	}
)

// tierOf returns the smallest tables that can be narrowed to a filter.
func tierOf(kind event.Kind, f filter) tier {
	if kind == event.KindPerformance && (f.endpoint != "" || f.method != "") || kind == event.KindUsage && f.eventType != "" {
		return byKey
	}
	return byApp
}

// aggregates appends a select of columns for each of the tier's tables that the
// reading needs, joined by UNION ALL, and reports whether it appended any. The
// columns are appended by a function because buckets are among them.
func (s *statement) aggregates(t tier, kind event.Kind, f filter, r reading, columns func()) bool {
	some := false
	for _, part := range []struct {
		table string
		spans []span
	}{{t.days, r.days}, {t.hours, r.hours}} {
		if len(part.spans) == 0 {
			continue
		}
		if some {
			s.add(` UNION ALL `)
		}
		some = true
		s.add(`SELECT `)
		columns()
		s.add(` FROM `+part.table+`metric_type = ? AND `, string(kind)).in(aggregateTime, part.spans).equal("app", f.app)
		if kind == event.KindPerformance {
			s.equal("endpoint_path", f.endpoint).equal("method", f.method)
		} else {
			s.equal("event_type", f.eventType)
		}
	}
	return some
}
