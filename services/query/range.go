package query

import (
	"time"

	"github.com/lakepulse/lakepulse/api"
)

const day = 24 * time.Hour

// timeRange is the span a question is about: start inclusive, end exclusive,
// UTC, in whole microseconds as Postgres keeps them.
type timeRange struct {
	name       api.TimeRangeName
	start, end time.Time
}

func (r timeRange) length() time.Duration { return r.end.Sub(r.start) }

// before returns the period of the same length that ends where r starts.
func (r timeRange) before() timeRange {
	return timeRange{name: r.name, start: r.start.Add(-r.length()), end: r.start}
}
