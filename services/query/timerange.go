package query

import (
	"fmt"
	"math"
	"net/url"
	"time"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/services/query/history"
)

var presets = map[string]time.Duration{"24h": history.Day, "7d": 7 * history.Day, "30d": 30 * history.Day, "90d": 90 * history.Day}

// parseRange reads time_range, or start and end, by the rules every metrics
// read shares. Its errors name the field and, in details, the rule.
func parseRange(q url.Values, now time.Time, retention time.Duration) (history.Range, error) {
	now = now.UTC().Truncate(time.Microsecond)
	if q.Has("start") || q.Has("end") {
		return parseCustom(q, now, retention)
	}
	name := "24h"
	if q.Has("time_range") {
		name = q.Get("time_range")
	}
	length, known := presets[name]
	if !known {
		return history.Range{}, fault.Refuse("time_range", "unknown", "time_range must be one of 24h, 7d, 30d, 90d")
	}
	r := history.Range{Name: api.TimeRangeName(name), Start: now.Add(-length), End: now}
	if r.Start.Before(oldest(now, retention)) {
		return history.Range{}, refuseOld("time_range", retention)
	}
	return r, nil
}

func parseCustom(q url.Values, now time.Time, retention time.Duration) (history.Range, error) {
	if q.Has("time_range") {
		return history.Range{}, fault.Refuse("time_range", "not_together", "time_range must not be given together with start and end")
	}
	for _, field := range []string{"start", "end"} {
		if !q.Has(field) {
			return history.Range{}, fault.Refuse(field, "both_needed", "start and end must be given together: %s is missing", field)
		}
	}
	start, err := parseTime(q, "start")
	if err != nil {
		return history.Range{}, err
	}
	end, err := parseTime(q, "end")
	if err != nil {
		return history.Range{}, err
	}
	r := history.Range{Name: api.RangeNameCustom, Start: start, End: end}
	return r, checkRange(r, now, retention)
}

// checkRange holds a custom range against the rules. Events may be stamped up to
// event.MaxAhead in the future, so a range may reach as far; that also forgives
// a browser whose clock runs ahead.
func checkRange(r history.Range, now time.Time, retention time.Duration) error {
	switch latest := now.Add(event.MaxAhead); {
	case !r.Start.Before(r.End):
		return fault.Refuse("start", "start_after_end", "start must be before end")
	case r.Start.After(latest):
		return fault.Refuse("start", "in_the_future", "start must not be in the future")
	case r.End.After(latest):
		return fault.Refuse("end", "in_the_future", "end must not be in the future")
	case r.Length() > MaxRange:
		return fault.Refuse("end", "over_90_days", "the range from start to end must not be over 90 days")
	case r.Start.Before(oldest(now, retention)):
		return refuseOld("start", retention)
	}
	return nil
}

// oldest is the earliest moment that can be asked for: the start of the oldest
// hour that is kept. A range of the full retention made a second ago by
// somebody else's clock lies within it.
func oldest(now time.Time, retention time.Duration) time.Time {
	return now.Add(-retention).Truncate(time.Hour)
}

func parseTime(q url.Values, field string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, q.Get(field))
	// Postgres counts from 4713 BC and JSON ends with the year 9999.
	if err != nil || t.UTC().Year() < 1 || t.UTC().Year() > 9999 {
		return time.Time{}, fault.Refuse(field, "rfc3339", "%s must be a time in RFC 3339 format, such as 2026-01-31T14:00:00Z", field)
	}
	return t.UTC().Truncate(time.Microsecond), nil
}

func refuseOld(field string, retention time.Duration) *fault.Error {
	return fault.Refuse(field, "older_than_retention", "%s must not be older than the retention of %s", field, spell(retention))
}

// spell writes a duration the way people say it: days where it is whole days.
func spell(d time.Duration) string {
	if d%history.Day == 0 {
		return fmt.Sprintf("%d days", d/history.Day)
	}
	return fmt.Sprintf("%d hours", int64(math.Floor(d.Hours())))
}
