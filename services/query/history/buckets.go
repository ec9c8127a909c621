package history

import (
	"slices"
	"time"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// Buckets cuts a range into pieces of equal meaning: five minutes, hours, or
// the days of a time zone.
type Buckets struct {
	Interval api.Interval
	starts   []time.Time // of the daily ones and, last, the end of the last; else nil
}

// newBuckets returns the buckets that cover a range. Days begin at the zone's
// midnight, so one of a clock change has 23 or 25 hours.
func newBuckets(interval api.Interval, from, to time.Time, zone *time.Location) Buckets {
	b := Buckets{Interval: interval}
	if interval != api.IntervalDaily {
		return b
	}
	y, m, d := from.In(zone).Date()
	for i := 0; ; i++ {
		at := midnight(y, m, d+i, zone)
		b.starts = append(b.starts, at)
		if !at.Before(to) {
			return b
		}
	}
}

// midnight returns the moment a day begins. Where clocks skip midnight itself
// the day begins at the first moment there is.
func midnight(y int, m time.Month, d int, zone *time.Location) time.Time {
	t := time.Date(y, m, d, 0, 0, 0, 0, zone)
	wanted := time.Date(y, m, d, 12, 0, 0, 0, time.UTC).Day()
	for t.In(zone).Day() != wanted {
		t = t.Add(30 * time.Minute)
	}
	return t.UTC()
}

func (b Buckets) width() time.Duration {
	if b.Interval == api.Interval5Min {
		return 5 * time.Minute
	}
	return time.Hour
}

// of returns the start of the bucket that t lies in.
func (b Buckets) of(t time.Time) time.Time {
	if b.starts == nil {
		return t.Truncate(b.width())
	}
	i, found := slices.BinarySearchFunc(b.starts, t, time.Time.Compare)
	if !found {
		i = max(0, i-1)
	}
	return b.starts[i]
}

// end returns the end of the bucket that starts at start.
func (b Buckets) end(start time.Time) time.Time {
	if b.starts == nil {
		return start.Add(b.width())
	}
	i, _ := slices.BinarySearchFunc(b.starts, start, time.Time.Compare)
	return b.starts[min(i+1, len(b.starts)-1)]
}

// utcDays reports whether the daily buckets are UTC's days.
func (b Buckets) utcDays() bool {
	return !slices.ContainsFunc(b.starts, func(t time.Time) bool { return !t.Equal(t.Truncate(Day)) })
}

// cuts reports whether a bucket begins inside of an hour, elsewhere than where an
// aggregate begins.
func (b Buckets) cuts(hour time.Time, partStart func(time.Time) time.Time) bool {
	if b.starts == nil {
		return b.width() < time.Hour
	}
	i, _ := slices.BinarySearchFunc(b.starts, hour, time.Time.Compare)
	for ; i < len(b.starts) && b.starts[i].Before(hour.Add(time.Hour)); i++ {
		if !partStart(b.starts[i]).Equal(b.starts[i]) {
			return true
		}
	}
	return false
}

// column appends the SQL of the bucket that a column's time lies in.
func (b Buckets) column(s *snapshot.Statement, name string) *snapshot.Statement {
	switch b.Interval {
	case api.Interval5Min:
		return s.Add(`date_bin('5 minutes', ` + name + `, timestamptz 'epoch')`)
	case api.IntervalHourly:
		return s.Add(`date_bin('1 hour', ` + name + `, timestamptz 'epoch')`)
	case api.IntervalDaily: // its days are those of a time zone, 23 to 25 hours long
	}
	place := s.Arg(b.starts)
	return s.Add(`(` + place + `::timestamptz[])[width_bucket(` + name + `, ` + place + `::timestamptz[])]`)
}
