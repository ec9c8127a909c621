package query

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/stats"
)

// userScope says whose users are active: those of requests, of usage events, or
// of both, each once. A filter that only one kind knows leaves out the other.
type userScope struct{ requests, events bool }

func scopeOf(f filter) userScope {
	byRequest, byEvent := f.endpoint != "" || f.method != "", f.eventType != ""
	return userScope{requests: byRequest || !byEvent, events: byEvent || !byRequest}
}

// userSet is an exact set of users: numbers where the aggregator has given them
// one, names where it has not seen them yet.
type userSet struct {
	numbers stats.Users
	names   map[string]struct{}
}

func (u *userSet) count() int64 { return int64(u.numbers.Count() + len(u.names)) }

func (u *userSet) merge(o *userSet) {
	u.numbers.Merge(&o.numbers)
	for name := range o.names {
		u.name(name)
	}
}

func (u *userSet) name(name string) {
	if u.names == nil {
		u.names = map[string]struct{}{}
	}
	u.names[name] = struct{}{}
}

func (u *userSet) reset() {
	u.numbers.Reset()
	clear(u.names)
}

// crowd is who was there, in a bucket or in a whole range.
type crowd struct {
	active    userSet // by the scope of the question
	events    userSet // with usage events
	anonymous bool    // there were requests without a user
}

func (c *crowd) reset() {
	c.active.reset()
	c.events.reset()
	c.anonymous = false
}

func (c *crowd) merge(o *crowd) {
	c.active.merge(&o.active)
	c.events.merge(&o.events)
	c.anonymous = c.anonymous || o.anonymous
}

// count is how many were active; all who are not known count as one when asked for.
func (c *crowd) count(withAnonymous bool) int64 {
	n := c.active.count()
	if withAnonymous && c.anonymous {
		n++
	}
	return n
}

// crowdQuestion asks who was there.
type crowdQuestion struct {
	requests, events reading
	filter           filter
	buckets          *buckets // nil: one for all
}

// crowds tells each for every bucket in order, and returns who was there in
// all. What it passes to each is only good until each returns: a bucket's sets
// are used again for the next one, so that hours and users may be many.
func crowds(ctx context.Context, tx pgx.Tx, q crowdQuestion, each func(bucket time.Time, c *crowd)) (*crowd, error) {
	st := q.statement()
	if st == nil {
		return &crowd{}, nil
	}
	var total, current crowd
	var at time.Time
	some := false
	flush := func() {
		if some && each != nil {
			each(at, &current)
		}
		total.merge(&current)
		current.reset()
	}
	scope := scopeOf(q.filter)
	err := collect(ctx, tx, st, "read users", func(rows pgx.Rows) error {
		var bucket time.Time
		var ofEvents, anonymous bool
		var names []string
		if err := rows.Scan(&bucket, &ofEvents, &anonymous, nil, &names); err != nil {
			return err
		}
		if !some || !bucket.Equal(at) {
			flush()
			at, some = bucket, true
		}
		current.anonymous = current.anonymous || anonymous
		sets := make([]*userSet, 0, 2)
		if ofEvents {
			sets = append(sets, &current.events)
		}
		if ofEvents && scope.events || !ofEvents && scope.requests {
			sets = append(sets, &current.active)
		}
		return addUsers(sets, rows.RawValues()[3], names)
	})
	flush()
	return &total, err
}

func addUsers(sets []*userSet, numbers []byte, names []string) error {
	for _, set := range sets {
		if err := set.numbers.AddBinary(numbers); err != nil {
			return err
		}
		for _, name := range names {
			set.name(name)
		}
	}
	return nil
}

// statement returns bucket, of events?, anonymous?, numbers, names, in order of
// the bucket; nil when nobody has to be asked.
func (q crowdQuestion) statement() *statement {
	var st statement
	some := false
	next := func() {
		if some {
			st.add(` UNION ALL `)
		}
		some = true
	}
	for _, part := range []struct {
		kind  event.Kind
		r     reading
		table string
	}{{event.KindPerformance, q.requests, "performance_metrics"}, {event.KindUsage, q.events, "usage_events"}} {
		ofEvents := part.kind == event.KindUsage
		if part.r.aggregated() {
			next()
			selectUsers(&st, part.kind, q.filter, part.r, q.buckets)
		}
		if len(part.r.raw) > 0 {
			next()
			st.add(`SELECT seen.bucket, ?::boolean, bool_or(seen.user_id IS NULL), coalesce(array_agg(known.user_number)
				FILTER (WHERE known.user_number IS NOT NULL), '{}'), array_agg(seen.user_id)
				FILTER (WHERE known.user_number IS NULL AND seen.user_id IS NOT NULL) FROM (SELECT `, ofEvents)
			bucketColumn(&st, q.buckets, rawTime).add(` AS bucket, user_id FROM ` + part.table + ` WHERE `).within(part.r.raw)
			if ofEvents {
				st.eventsOf(q.filter)
			} else {
				st.requestsOf(q.filter)
			}
			// GROUP BY and not DISTINCT: older servers group in parallel only.
			st.add(` GROUP BY 1, 2) AS seen LEFT JOIN user_numbers AS known ON known.user_id = seen.user_id GROUP BY seen.bucket`)
		}
	}
	if !some {
		return nil
	}
	st.add(` ORDER BY 1`)
	return &st
}

// bucketColumn appends the SQL of the bucket that a column's time lies in, and
// the epoch where there are no buckets.
func bucketColumn(s *statement, b *buckets, column string) *statement {
	if b == nil {
		return s.add(`timestamptz 'epoch'`)
	}
	return b.column(s, column)
}

// crowd is the question who was active in the view; with events also who had
// usage events, where that is not the same.
func (v *view) crowd(f filter, b *buckets, events bool) crowdQuestion {
	read := v.whole
	if b != nil {
		read = func(kind event.Kind) reading { return v.over(kind, *b) }
	}
	q := crowdQuestion{filter: f, buckets: b}
	scope := scopeOf(f)
	if scope.requests {
		q.requests = read(event.KindPerformance)
	}
	if scope.events || events {
		q.events = read(event.KindUsage)
	}
	return q
}

// activeOver counts the distinct users per bucket, oldest first, and returns
// those of all buckets.
func (v *view) activeOver(ctx context.Context, tx pgx.Tx, f filter, anonymous bool, b buckets) (*crowd, []api.ActiveUsersPoint, error) {
	points := []api.ActiveUsersPoint{}
	total, err := crowds(ctx, tx, v.crowd(f, &b, true), func(bucket time.Time, c *crowd) {
		if n := c.count(anonymous); n > 0 {
			at := bucket.UTC()
			points = append(points, api.ActiveUsersPoint{Timestamp: at, ActiveUsers: n, Complete: v.complete(b, at)})
		}
	})
	return total, points, err
}

// usersThisHour counts who is active since the last full hour.
func usersThisHour(ctx context.Context, tx pgx.Tx, now time.Time, app string, anonymous bool) (int64, error) {
	hour := reading{raw: []span{{now.Truncate(time.Hour), now.Add(event.MaxAhead)}}}
	c, err := crowds(ctx, tx, crowdQuestion{requests: hour, events: hour, filter: filter{app: app}}, nil)
	if err != nil {
		return 0, err
	}
	return c.count(anonymous), nil
}
