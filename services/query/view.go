package query

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/stats"
)

// view is a range as one snapshot can answer it.
//
// Counts, sums and sets of users are exact whether aggregates or raw rows give
// them, so closed hours come from aggregates, which is cheap. Percentiles of
// several hours are not; a view that is sharp looks them up among the raw rows.
type view struct {
	asked    timeRange
	from, to time.Time // what is answered: asked, or wider by parts of an hour
	cover    *coverage
	prefer   preference
	sharp    bool // percentiles are exact
	now      time.Time
}

// question is what a view is opened for.
type question struct {
	rng     timeRange
	exact   bool // percentiles must be exact: raw rows wherever they exist
	compare bool // the period before is asked for as well
	now     time.Time
}

// openView reads where the data of a range is, and with compare also that of
// the period before.
func openView(ctx context.Context, tx pgx.Tx, q question) (*view, error) {
	from := q.rng.start
	if q.compare {
		from = q.rng.before().start
	}
	c, err := readCoverage(ctx, tx, from, q.rng.end)
	if err != nil {
		return nil, err
	}
	return newView(c, q.rng, q.exact, q.now), nil
}

func newView(c *coverage, rng timeRange, exact bool, now time.Time) *view {
	v := &view{asked: rng, cover: c, now: now, prefer: preference{aggregates: !exact}}
	v.from, v.to = c.align(rng.start, rng.end)
	if !v.from.Before(c.purged) {
		v.sharp = exact || rng.length() <= day || !v.whole(event.KindPerformance).aggregated()
	}
	return v
}

// evenly runs f, and runs it again on raw rows alone should it find that they
// are not what the aggregates have counted: then the rows are right.
func (v *view) evenly(f func() error) error {
	err := f()
	if errors.Is(err, errUneven) && v.prefer.aggregates {
		v.prefer.aggregates = false
		err = f()
	}
	return err
}

// previous returns the view of the period before. The coverage of a view that
// was opened with compare reaches that far.
func (v *view) previous(exact bool) *view { return newView(v.cover, v.asked.before(), exact, v.now) }

// whole is how the range as a whole is read.
func (v *view) whole(kind event.Kind) reading { return v.cover.plan(kind, v.from, v.to, v.prefer) }

// all is the whole of the view, for reading its raw rows.
func (v *view) all() []span { return []span{{v.from, v.to}} }

// hourly is how the range is read where daily aggregates are too coarse.
func (v *view) hourly(kind event.Kind) reading {
	p := v.prefer
	p.noDays = true
	return v.cover.plan(kind, v.from, v.to, p)
}

// over is how the range is read to fill buckets. Hours that a bucket's edge
// cuts through, as midnight does in half-hour zones, are read raw where they can be.
func (v *view) over(kind event.Kind, b buckets) reading {
	p := v.prefer
	p.noDays = b.interval != api.IntervalDaily || !b.utcDays()
	p.split = b.cuts
	return v.cover.plan(kind, v.from, v.to, p)
}

// rawWindow is the part of the range that raw rows can answer.
func (v *view) rawWindow() []span {
	sp := span{later(v.from, v.cover.purged), v.to}
	if sp.empty() {
		return nil
	}
	return []span{sp}
}

// listedRows is about how many raw rows are read for lists that nothing but a
// scan can make: about a tenth of a second.
const listedRows = 250_000

// recent is the part of the raw window that such lists come from: all of it
// where the view reads raw rows anyway or there are few, else its last hours.
func (v *view) recent() []span {
	if v.sharp {
		return v.rawWindow()
	}
	return v.lastRows(listedRows)
}

// lastRows is the end of the raw window with about so many rows, and at least
// an hour.
func (v *view) lastRows(most int64) []span {
	spans := v.rawWindow()
	if len(spans) == 0 {
		return nil
	}
	from, first := spans[0].to, spans[0].from
	for n := int64(0); from.After(first); {
		hour := from.Add(-time.Microsecond).Truncate(time.Hour)
		if n += v.cover.rows(hour); n > most && spans[0].to.Sub(from) >= time.Hour {
			break
		}
		from = later(hour, first)
	}
	spans[0].from = from
	return spans
}

// buckets returns the buckets of the answer. Five minutes cannot be had from
// hourly aggregates.
func (v *view) buckets(interval api.Interval, zone *time.Location) (buckets, error) {
	allRaw := !v.from.Before(v.cover.purged)
	switch {
	case interval == api.Interval5Min && !allRaw:
		return buckets{}, fault.Refuse("interval", "no_raw_rows", "interval must be hourly or daily where raw rows are no longer kept")
	case interval == "" && allRaw && v.asked.length() <= day:
		interval = api.Interval5Min
	case interval == "":
		interval = api.IntervalHourly
	}
	return newBuckets(interval, v.from, v.to, zone), nil
}

// completeTo is the moment up to which everything accepted is in the answer.
// What lies below the purge line was stored before it was summarised.
func (v *view) completeTo() time.Time {
	return earlier(later(later(v.cover.stored, v.cover.purged), v.from), v.now)
}

// complete reports whether a bucket is over, lies wholly in the range and has
// everything that was accepted for it.
func (v *view) complete(b buckets, start time.Time) bool {
	end := b.end(start)
	return !start.Before(v.from) && !end.After(v.to) && !end.After(v.completeTo())
}

// provenance says what an answer over n events rests on: the readings that
// answered it. A sharp view says what its raw rows say, whoever counted them.
func (v *view) provenance(n int64, percentiles bool, answered ...reading) api.Provenance {
	p := api.Provenance{
		CompleteTo: v.completeTo(), Alignment: api.AlignmentNone, EffectiveStart: v.from, EffectiveEnd: v.to, N: n,
		Percentiles: api.Precision{Kind: api.PrecisionExact}, Users: api.Precision{Kind: api.PrecisionExact},
	}
	if !v.from.Equal(v.asked.start) || !v.to.Equal(v.asked.end) {
		p.Alignment = api.AlignmentHour
	}
	if v.sharp {
		p.RawFrom = &v.from
		return p
	}
	if percentiles {
		p.Percentiles = api.Precision{Kind: api.PrecisionBounded, RelativeError: stats.RelativeError}
	}
	for _, r := range answered {
		for _, spans := range [][]span{r.hours, r.days} {
			if len(spans) > 0 && (p.AggregatedFrom == nil || spans[0].from.Before(*p.AggregatedFrom)) {
				p.AggregatedFrom = &spans[0].from
			}
		}
		if tail := len(r.raw) - 1; tail >= 0 && r.raw[tail].to.Equal(v.to) &&
			(p.RawFrom == nil || r.raw[tail].from.After(*p.RawFrom)) {
			p.RawFrom = &r.raw[tail].from
		}
	}
	return p
}

// rawProvenance says what an answer over n rows of the spans rests on.
func (v *view) rawProvenance(n int64, spans []span) api.Provenance {
	p := v.provenance(n, false)
	p.Alignment, p.EffectiveStart, p.EffectiveEnd = api.AlignmentNone, v.asked.start, v.asked.end
	if len(spans) > 0 {
		p.RawFrom = &spans[0].from
	}
	return p
}
