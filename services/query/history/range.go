package history

import (
	"time"

	"github.com/lakepulse/lakepulse/api"
)

const Day = 24 * time.Hour

// Range is the span a question is about: start inclusive, end exclusive,
// UTC, in whole microseconds as Postgres keeps them.
type Range struct {
	Name       api.TimeRangeName
	Start, End time.Time
}

func (r Range) Length() time.Duration { return r.End.Sub(r.Start) }
