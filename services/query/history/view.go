package history

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/stats"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// View is a range as one snapshot can answer it.
//
// Counts, sums and sets of users are exact whether aggregates or raw rows give
// them, so closed hours come from aggregates, which is cheap. Percentiles of
// several hours are not; a view that is sharp looks them up among the raw rows.
type View struct {
	asked            Range
	from, to         time.Time // what is answered: asked, or wider by parts of an hour
	coverage         *coverage
	prefer           planOptions
	exactPercentiles bool // percentiles are exact
	now              time.Time
}

// Question is what a view is opened for.
type Question struct {
	Range   Range
	Exact   bool // percentiles must be exact: raw rows wherever they exist
	Compare bool // the period before is asked for as well
	Now     time.Time
}

// Open reads where the data of a range is, and with compare also that of
// the period before.
func Open(ctx context.Context, tx pgx.Tx, q Question) (*View, error) {
	from := q.Range.Start
	if q.Compare { // moving the edges to full hours adds two hours to the range, and so to the one before
		from = q.Range.Start.Add(-q.Range.Length() - 4*time.Hour)
	}
	c, err := readCoverage(ctx, tx, from, q.Range.End)
	if err != nil {
		return nil, err
	}
	return newView(c, q.Range, q.Exact, q.Now), nil
}

func newView(c *coverage, rng Range, exact bool, now time.Time) *View {
	v := &View{asked: rng, coverage: c, now: now, prefer: planOptions{aggregates: !exact}}
	v.from, v.to = c.align(rng.Start, rng.End)
	if !v.from.Before(c.purged) {
		v.exactPercentiles = exact || rng.Length() <= Day || !v.PlanWhole(event.KindPerformance).aggregated()
	}
	return v
}

// retryOnRaw runs f, and runs it again on raw rows alone should it find that they
// are not what the aggregates have counted: then the rows are right.
func (v *View) retryOnRaw(f func() error) error {
	err := f()
	if errors.Is(err, errCountsDiffer) && v.prefer.aggregates {
		v.prefer.aggregates = false
		err = f()
	}
	return err
}

// PreviousRange is the period of the same length that ends where the view begins.
// It is measured from the edges that are really used: a view whose edges were moved
// to full hours would otherwise count hours that the period before counts too.
func (v *View) PreviousRange() Range {
	return Range{Name: v.asked.Name, Start: v.from.Add(-v.to.Sub(v.from)), End: v.from}
}

// Previous returns the view of the period before. The view must have been opened
// with Compare.
func (v *View) Previous(exact bool) *View {
	return newView(v.coverage, v.PreviousRange(), exact, v.now)
}

// Effective returns the edges that are really used.
func (v *View) Effective() (from, to time.Time) { return v.from, v.to }

// PlanWhole is how the range as a whole is read.
func (v *View) PlanWhole(kind event.Kind) Plan { return v.coverage.plan(kind, v.from, v.to, v.prefer) }

// rawSpans is the whole of the view, for reading its raw rows.
func (v *View) rawSpans() []snapshot.Span { return []snapshot.Span{{From: v.from, To: v.to}} }

// planHours is how the range is read where daily aggregates are too coarse.
func (v *View) planHours(kind event.Kind) Plan {
	p := v.prefer
	p.noDays = true
	return v.coverage.plan(kind, v.from, v.to, p)
}

// PlanBuckets is how the range is read to fill buckets. Hours that a bucket's edge
// cuts through, as midnight does in half-hour zones, are read raw where they can be.
func (v *View) PlanBuckets(kind event.Kind, b Buckets) Plan {
	p := v.prefer
	p.noDays = b.Interval != api.IntervalDaily || !b.utcDays()
	p.split = func(hour time.Time) bool { return b.cuts(hour, v.coverage.partStart) }
	return v.coverage.plan(kind, v.from, v.to, p)
}

// RawWindow is the part of the range that raw rows can answer.
func (v *View) RawWindow() []snapshot.Span {
	sp := snapshot.Span{From: later(v.from, v.coverage.purged), To: v.to}
	if sp.Empty() {
		return nil
	}
	return []snapshot.Span{sp}
}

// ListedRows is about how many raw rows are read for lists that nothing but a
// scan can make: about a tenth of a second.
const ListedRows = 250_000

// RecentRows is the part of the raw window that such lists come from: all of it
// where the view reads raw rows anyway or there are few, else its last hours.
func (v *View) RecentRows() []snapshot.Span {
	if v.exactPercentiles {
		return v.RawWindow()
	}
	return v.LastRows(ListedRows)
}

// LastRows is the end of the raw window with about so many rows, and at least
// an hour.
func (v *View) LastRows(most int64) []snapshot.Span {
	spans := v.RawWindow()
	if len(spans) == 0 {
		return nil
	}
	from, first := spans[0].To, spans[0].From
	for n := int64(0); from.After(first); {
		hour := from.Add(-time.Microsecond).Truncate(time.Hour)
		if n += v.coverage.rows(hour); n > most && spans[0].To.Sub(from) >= time.Hour {
			break
		}
		from = later(hour, first)
	}
	spans[0].From = from
	return spans
}

// Buckets returns the buckets of the answer. Five minutes cannot be had from
// hourly aggregates.
func (v *View) Buckets(interval api.Interval, zone *time.Location) (Buckets, error) {
	allRaw := !v.from.Before(v.coverage.purged)
	switch {
	case interval == api.Interval5Min && !allRaw:
		return Buckets{}, fault.Refuse("interval", "no_raw_rows", "interval must be hourly or daily where raw rows are no longer kept")
	case interval == "" && allRaw && v.asked.Length() <= Day:
		interval = api.Interval5Min
	case interval == "":
		interval = api.IntervalHourly
	}
	return newBuckets(interval, v.from, v.to, zone), nil
}

// completeTo is the moment up to which everything accepted is in the answer.
// What lies below the purge line was stored before it was summarised.
func (v *View) completeTo() time.Time {
	return earlier(later(later(v.coverage.stored, v.coverage.purged), v.from), v.now)
}

// complete reports whether a bucket is over and everything accepted for it is stored.
func (v *View) complete(b Buckets, start time.Time) bool { return !b.end(start).After(v.completeTo()) }

// cut reports whether the range begins or ends inside a bucket that is over, so that
// the bucket counts its part of the range only; or whether an edge of the bucket lies
// inside an aggregate whose raw rows are gone, so that it may hold a part of its
// neighbour. It is nil where neither is so.
func (v *View) cut(b Buckets, start time.Time) *bool {
	end := b.end(start)
	yes := start.Before(v.from) || end.After(v.to) && !end.After(v.now)
	for _, edge := range []time.Time{start, end} {
		yes = yes || edge.Before(v.coverage.purged) && !v.coverage.partStart(edge).Equal(edge)
	}
	if yes {
		return &yes
	}
	return nil
}

// Provenance says what an answer over n events rests on: the readings that
// answered it. A sharp view says what its raw rows say, whoever counted them.
func (v *View) Provenance(n int64, percentiles bool, answered ...Plan) api.Provenance {
	p := api.Provenance{
		CompleteTo: v.completeTo(), Alignment: api.AlignmentNone, EffectiveStart: v.from, EffectiveEnd: v.to, N: n,
		Percentiles: api.Precision{Kind: api.PrecisionExact}, Users: api.Precision{Kind: api.PrecisionExact},
	}
	if !v.from.Equal(v.asked.Start) || !v.to.Equal(v.asked.End) {
		p.Alignment = api.AlignmentHour
	}
	if v.exactPercentiles {
		p.RawFrom = &v.from
		return p
	}
	if percentiles {
		p.Percentiles = api.Precision{Kind: api.PrecisionBounded, RelativeError: stats.RelativeError}
	}
	for _, r := range answered {
		for _, spans := range [][]snapshot.Span{r.hours, r.days} {
			if len(spans) > 0 && (p.AggregatedFrom == nil || spans[0].From.Before(*p.AggregatedFrom)) {
				p.AggregatedFrom = &spans[0].From
			}
		}
		if tail := len(r.raw) - 1; tail >= 0 && r.raw[tail].To.Equal(v.to) &&
			(p.RawFrom == nil || r.raw[tail].From.After(*p.RawFrom)) {
			p.RawFrom = &r.raw[tail].From
		}
	}
	return p
}

// RawProvenance says what an answer over n rows of the spans rests on.
func (v *View) RawProvenance(n int64, spans []snapshot.Span) api.Provenance {
	p := v.Provenance(n, false)
	p.Alignment, p.EffectiveStart, p.EffectiveEnd = api.AlignmentNone, v.asked.Start, v.asked.End
	if len(spans) > 0 {
		p.RawFrom = &spans[0].From
	}
	return p
}
