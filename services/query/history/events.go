package history

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// The most entries of a list in an answer.
const (
	MaxPages    = 1000
	MaxElements = 200
)

// eventTally is what a set of usage events adds up to.
type eventTally struct {
	N, succeeded, failed int64
	ByType               map[string]int64
	Pages                counts // of page views or, with a filter, of its type
	Elements             counts
}

func newEventTally() *eventTally {
	return &eventTally{ByType: map[string]int64{}, Pages: newCounts(), Elements: newCounts()}
}

func (t *eventTally) add(name string, n, succeeded, failed int64) {
	t.ByType[name] += n
	t.N, t.succeeded, t.failed = t.N+n, t.succeeded+succeeded, t.failed+failed
}

func (t *eventTally) Metrics() api.UsageMetrics {
	m := api.UsageMetrics{TotalEvents: t.N, SuccessCount: &t.succeeded, FailureCount: &t.failed}
	if said := t.succeeded + t.failed; said > 0 {
		rate := ratio(float64(t.succeeded), float64(said))
		m.SuccessRate = &rate
	}
	return m
}

// pageType is the type whose events are counted by page.
func pageType(f snapshot.Filter) string {
	if f.EventType != "" {
		return f.EventType
	}
	return event.TypePageView
}

// TallyEvents tallies the usage events of a reading; with lists also by page
// and by element.
func TallyEvents(ctx context.Context, tx pgx.Tx, r Plan, f snapshot.Filter, lists bool) (*eventTally, error) {
	t := newEventTally()
	if r.aggregated() {
		if err := t.addAggregates(ctx, tx, r, f, lists); err != nil {
			return nil, err
		}
	}
	if len(r.raw) == 0 {
		return t, nil
	}
	if err := t.addRaw(ctx, tx, r.raw, f); err != nil || !lists {
		return t, err
	}
	pages := snapshot.Filter{App: f.App, EventType: pageType(f)}
	if err := countEventsBy(ctx, tx, r.raw, pages, "page_name", &t.Pages); err != nil {
		return nil, err
	}
	return t, countEventsBy(ctx, tx, r.raw, f, "element_id", &t.Elements)
}

func (t *eventTally) addAggregates(ctx context.Context, tx pgx.Tx, r Plan, f snapshot.Filter, lists bool) error {
	var name string
	var n, succeeded, failed int64
	err := snapshot.Collect(ctx, tx, eventPartsStatement(f, r, lists), "merge events", func(rows pgx.Rows) error {
		if err := rows.Scan(&name, &n, &succeeded, &failed, nil, nil); err != nil {
			return err
		}
		t.add(name, n, succeeded, failed)
		values := rows.RawValues()
		if err := t.Pages.addNumbered(values[4]); err != nil {
			return err
		}
		return t.Elements.addNumbered(values[5])
	})
	if err == nil {
		err = t.Pages.resolve(ctx, tx)
	}
	if err == nil {
		err = t.Elements.resolve(ctx, tx)
	}
	return err
}

func (t *eventTally) addRaw(ctx context.Context, tx pgx.Tx, spans []snapshot.Span, f snapshot.Filter) error {
	var st snapshot.Statement
	st.Add(`SELECT event_type, count(*), count(*) FILTER (WHERE success), count(*) FILTER (WHERE NOT success)
		FROM usage_events WHERE `).Within(spans).MatchEvents(f).Add(` GROUP BY event_type`)
	return snapshot.Collect(ctx, tx, &st, "tally events", func(rows pgx.Rows) error {
		var name string
		var n, succeeded, failed int64
		err := rows.Scan(&name, &n, &succeeded, &failed)
		t.add(name, n, succeeded, failed)
		return err
	})
}

// countEventsBy counts events by a column of usage_events; events without a value
// are left out. All values are counted before a list is cut, because one that is
// rare here may be frequent in the aggregates.
func countEventsBy(ctx context.Context, tx pgx.Tx, spans []snapshot.Span, f snapshot.Filter, column string, into *counts) error {
	var st snapshot.Statement
	st.Add(`SELECT CASE WHEN place <= ? THEN name END, sum(n)::bigint FROM (
		SELECT `+column+` AS name, count(*) AS n, row_number() OVER (ORDER BY count(*) DESC, `+column+`) AS place
		  FROM usage_events WHERE `, maxCounted).Within(spans).MatchEvents(f).
		Add(` AND ` + column + ` IS NOT NULL GROUP BY 1) AS counted GROUP BY 1`)
	return snapshot.Collect(ctx, tx, &st, "count events by "+column, func(rows pgx.Rows) error {
		var name *string
		var n int64
		err := rows.Scan(&name, &n)
		into.add(name, n)
		return err
	})
}

// countEventsOver tells each how many events of a type there were in a bucket.
// A pair may come more than once.
func countEventsOver(ctx context.Context, tx pgx.Tx, r Plan, f snapshot.Filter, b Buckets, each func(bucket time.Time, name string, n int64)) error {
	var st snapshot.Statement
	some := selectEventCounts(&st, f, r, b)
	if len(r.raw) > 0 {
		if some {
			st.Add(` UNION ALL `)
		}
		st.Add(`SELECT `)
		b.column(&st, snapshot.RawTime).Add(`, event_type, count(*) FROM usage_events WHERE `).Within(r.raw).MatchEvents(f).Add(` GROUP BY 1, 2`)
	}
	if st.Text.Len() == 0 {
		return nil
	}
	return snapshot.Collect(ctx, tx, &st, "count events over time", func(rows pgx.Rows) error {
		var bucket time.Time
		var name string
		var n int64
		if err := rows.Scan(&bucket, &name, &n); err != nil {
			return err
		}
		each(bucket, name, n)
		return nil
	})
}
