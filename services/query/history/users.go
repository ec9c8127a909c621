package history

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/stats"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// userScope says whose users are active: those of requests, of usage events, or
// of both, each once. A filter that only one kind knows leaves out the other.
type userScope struct{ Requests, Events bool }

func ScopeOf(f snapshot.Filter) userScope {
	byRequest, byEvent := f.Endpoint != "" || f.Method != "", f.EventType != ""
	return userScope{Requests: byRequest || !byEvent, Events: byEvent || !byRequest}
}

// userSet is an exact set of users: numbers where the aggregator has given them
// one, names where it has not seen them yet.
type userSet struct {
	numbers stats.Users
	names   map[string]struct{}
}

func (u *userSet) Count() int64 { return int64(u.numbers.Count() + len(u.names)) }

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

// activeUsers is who was there, in a bucket or in a whole range.
type activeUsers struct {
	active    userSet // by the scope of the question
	Events    userSet // with usage events
	anonymous bool    // there were requests without a user
}

func (c *activeUsers) reset() {
	c.active.reset()
	c.Events.reset()
	c.anonymous = false
}

func (c *activeUsers) merge(o *activeUsers) {
	c.active.merge(&o.active)
	c.Events.merge(&o.Events)
	c.anonymous = c.anonymous || o.anonymous
}

// Count is how many were active; all who are not known count as one when asked for.
func (c *activeUsers) Count(withAnonymous bool) int64 {
	n := c.active.Count()
	if withAnonymous && c.anonymous {
		n++
	}
	return n
}

// UserQuestion asks who was there.
type UserQuestion struct {
	requests, Events Plan
	Filter           snapshot.Filter
	buckets          *Buckets // nil: one for all
}

// ReadUsers tells each for every bucket in order, and returns who was there in
// all. What it passes to each is only good until each returns: a bucket's sets
// are used again for the next one, so that hours and users may be many.
func ReadUsers(ctx context.Context, tx pgx.Tx, q UserQuestion, each func(bucket time.Time, c *activeUsers)) (*activeUsers, error) {
	st := q.statement()
	if st == nil {
		return &activeUsers{}, nil
	}
	var total, current activeUsers
	var at time.Time
	some := false
	flush := func() {
		if some && each != nil {
			each(at, &current)
		}
		total.merge(&current)
		current.reset()
	}
	scope := ScopeOf(q.Filter)
	err := snapshot.Collect(ctx, tx, st, "read users", func(rows pgx.Rows) error {
		var bucket time.Time
		var ofEvents, anonymous bool
		var numbers []int32
		var names []string
		if err := rows.Scan(&bucket, &ofEvents, &anonymous, nil, &numbers, &names); err != nil {
			return err
		}
		if !some || !bucket.Equal(at) {
			flush()
			at, some = bucket, true
		}
		current.anonymous = current.anonymous || anonymous
		sets := make([]*userSet, 0, 2)
		if ofEvents {
			sets = append(sets, &current.Events)
		}
		if ofEvents && scope.Events || !ofEvents && scope.Requests {
			sets = append(sets, &current.active)
		}
		return addUsers(sets, rows.RawValues()[3], numbers, names)
	})
	flush()
	return &total, err
}

func addUsers(sets []*userSet, stored []byte, numbers []int32, names []string) error {
	for _, set := range sets {
		if err := set.numbers.AddEncoded(stored); err != nil {
			return err
		}
		set.numbers.Add(numbers...)
		for _, name := range names {
			set.name(name)
		}
	}
	return nil
}

// statement returns bucket, of events?, anonymous?, stored set, numbers, names, in order of
// the bucket; nil when nobody has to be asked.
func (q UserQuestion) statement() *snapshot.Statement {
	var st snapshot.Statement
	some := false
	next := func() {
		if some {
			st.Add(` UNION ALL `)
		}
		some = true
	}
	for _, part := range []struct {
		kind  event.Kind
		r     Plan
		table string
	}{{event.KindPerformance, q.requests, "performance_metrics"}, {event.KindUsage, q.Events, "usage_events"}} {
		ofEvents := part.kind == event.KindUsage
		if part.r.aggregated() {
			next()
			selectUsers(&st, part.kind, q.Filter, part.r, q.buckets)
		}
		if len(part.r.raw) > 0 {
			next()
			st.Add(`SELECT seen.bucket, ?::boolean, bool_or(seen.user_id IS NULL), ''::bytea, array_agg(known.user_number)
				FILTER (WHERE known.user_number IS NOT NULL), array_agg(seen.user_id)
				FILTER (WHERE known.user_number IS NULL AND seen.user_id IS NOT NULL) FROM (SELECT `, ofEvents)
			bucketColumn(&st, q.buckets, snapshot.RawTime).Add(` AS bucket, user_id FROM ` + part.table + ` WHERE `).Within(part.r.raw)
			if ofEvents {
				st.MatchEvents(q.Filter)
			} else {
				st.MatchRequests(q.Filter)
			}
			// GROUP BY and not DISTINCT: older servers group in parallel only.
			st.Add(` GROUP BY 1, 2) AS seen LEFT JOIN user_numbers AS known ON known.user_id = seen.user_id GROUP BY seen.bucket`)
		}
	}
	if !some {
		return nil
	}
	st.Add(` ORDER BY 1`)
	return &st
}

// bucketColumn appends the SQL of the bucket that a column's time lies in, and
// the epoch where there are no buckets.
func bucketColumn(s *snapshot.Statement, b *Buckets, column string) *snapshot.Statement {
	if b == nil {
		return s.Add(`timestamptz 'epoch'`)
	}
	return b.column(s, column)
}

// AskUsers is the question who was active in the view; with events also who had
// usage events, where that is not the same.
func (v *View) AskUsers(f snapshot.Filter, b *Buckets, events bool) UserQuestion {
	read := v.PlanWhole
	if b != nil {
		read = func(kind event.Kind) Plan { return v.PlanBuckets(kind, *b) }
	}
	q := UserQuestion{Filter: f, buckets: b}
	scope := ScopeOf(f)
	if scope.Requests {
		q.requests = read(event.KindPerformance)
	}
	if scope.Events || events {
		q.Events = read(event.KindUsage)
	}
	return q
}

// CountUsersOver counts the distinct users per bucket, oldest first, and returns
// those of all buckets.
func (v *View) CountUsersOver(ctx context.Context, tx pgx.Tx, f snapshot.Filter, anonymous bool, b Buckets) (*activeUsers, []api.ActiveUsersPoint, error) {
	points := []api.ActiveUsersPoint{}
	total, err := ReadUsers(ctx, tx, v.AskUsers(f, &b, true), func(bucket time.Time, c *activeUsers) {
		if n := c.Count(anonymous); n > 0 {
			at := bucket.UTC()
			points = append(points, api.ActiveUsersPoint{Timestamp: at, ActiveUsers: n, Complete: v.complete(b, at), Cut: v.cut(b, at)})
		}
	})
	return total, points, err
}

// CountUsersThisHour counts who is active since the last full hour.
func CountUsersThisHour(ctx context.Context, tx pgx.Tx, now time.Time, app string, anonymous bool) (int64, error) {
	hour := Plan{raw: []snapshot.Span{{From: now.Truncate(time.Hour), To: now.Add(event.MaxAhead)}}}
	c, err := ReadUsers(ctx, tx, UserQuestion{requests: hour, Events: hour, Filter: snapshot.Filter{App: app}}, nil)
	if err != nil {
		return 0, err
	}
	return c.Count(anonymous), nil
}
