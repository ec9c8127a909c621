package query

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/stats"
)

// view is a range as one snapshot can answer it.
type view struct {
	asked    timeRange
	from, to time.Time // what is answered: asked, or wider by parts of an hour
	cover    *coverage
	prefer   preference
	now      time.Time
}

// look reads the coverage of a range, and with compare that of the period before.
func (s *Service) look(ctx context.Context, tx pgx.Tx, rng timeRange, exact, compare bool) (*view, error) {
	from := rng.start
	if compare {
		from = rng.before().start
	}
	c, err := readCoverage(ctx, tx, from, rng.end)
	if err != nil {
		return nil, err
	}
	return newView(c, rng, exact, s.now()), nil
}

func newView(c *coverage, rng timeRange, exact bool, now time.Time) *view {
	v := &view{asked: rng, cover: c, now: now, prefer: preference{aggregates: rng.length() > day && !exact}}
	v.from, v.to = c.align(rng.start, rng.end)
	return v
}

// earlier returns the view of the period before, or nil where part of it is no
// longer kept.
func (v *view) earlier(s *Service, exact bool) *view {
	if rng := v.asked.before(); s.retained(rng) {
		return newView(v.cover, rng, exact, v.now)
	}
	return nil
}

// whole is how the range as a whole is read.
func (v *view) whole(kind event.Kind) reading { return v.cover.plan(kind, v.from, v.to, v.prefer) }

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

// recent is the part of the raw window that lists of users come from: all of it
// for ranges of a day and where raw rows are asked for, otherwise its last day.
// Nothing but a scan can list users, and a scan of a week is what ranges beyond
// a day are answered from aggregates for.
func (v *view) recent() []span {
	spans := v.rawWindow()
	if len(spans) > 0 && v.prefer.aggregates {
		spans[0].from = later(spans[0].from, spans[0].to.Add(-day))
	}
	return spans
}

// buckets returns the buckets of the answer. Five minutes cannot be had from
// hourly aggregates.
func (v *view) buckets(interval api.Interval, zone *time.Location) (buckets, error) {
	allRaw := !v.from.Before(v.cover.purged)
	switch {
	case interval == api.Interval5Min && !allRaw:
		return buckets{}, refuse("interval", "no_raw_rows", "interval must be hourly or daily where raw rows are no longer kept")
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

// provenance says what an answer over n events rests on. The readings are those
// that answered, first the one percentiles come from.
func (v *view) provenance(n int64, answered ...reading) api.Provenance {
	p := api.Provenance{
		CompleteTo: v.completeTo(), Alignment: api.AlignmentNone, EffectiveStart: v.from, EffectiveEnd: v.to, N: n,
		Percentiles: api.Precision{Kind: api.PrecisionExact}, Users: api.Precision{Kind: api.PrecisionExact},
	}
	if !v.from.Equal(v.asked.start) || !v.to.Equal(v.asked.end) {
		p.Alignment = api.AlignmentHour
	}
	if len(answered) > 0 && answered[0].aggregated() {
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
