package history

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// coverage is what one snapshot says about where the data of a stretch of time
// is. It is read in the transaction that reads the data: the aggregator moves
// the purge line, writes receipts and clears marks together with the rows they
// are about, and a writer sets a mark together with its rows.
//
//	       purge line                              now
//	───────────┼────────────────────────────────────┼──►
//	aggregates │ receipt and no mark: aggregates     │
//	only       │ otherwise: raw rows hold more       │
type coverage struct {
	purged   time.Time // raw rows exist from here on; the zero time before the first purge
	stored   time.Time // everything published before it is stored; the zero time when nobody knows
	receipts map[event.Kind]*aggregatedHours
	whole    map[int64]bool // hours whose aggregates are not kept in parts, by Unix time
}

// aggregatedHours is which hours and days of a kind stand in aggregates, by Unix time,
// and how many rows each was made from.
type aggregatedHours struct{ hours, days map[int64]int64 }

// readCoverage reads what there is between two moments.
func readCoverage(ctx context.Context, tx pgx.Tx, from, to time.Time) (*coverage, error) {
	c := &coverage{receipts: map[event.Kind]*aggregatedHours{}, whole: map[int64]bool{}}
	for _, kind := range event.Kinds() {
		c.receipts[kind] = &aggregatedHours{hours: map[int64]int64{}, days: map[int64]int64{}}
	}
	line, err := metricsdb.ReadPurgeLine(ctx, tx)
	if err != nil {
		return nil, err
	}
	c.purged = line.PurgedBefore
	if c.stored, err = metricsdb.ReadStoredThrough(ctx, tx); err != nil {
		return nil, err
	}
	return c, c.readReceipts(ctx, tx, from, to)
}

// ReadPurgeLine returns since when raw rows exist.
func ReadPurgeLine(ctx context.Context, tx pgx.Tx) (time.Time, error) {
	c, err := readCoverage(ctx, tx, time.Time{}, time.Time{})
	if err != nil {
		return time.Time{}, err
	}
	return c.purged, nil
}

// aggregated reports whether an hour's rows all stand in its aggregates.
func (c *coverage) aggregated(kind event.Kind, hour time.Time) bool {
	_, receipt := c.receipts[kind].hours[hour.Unix()]
	return receipt || hour.Before(c.purged)
}

// rows is how many raw rows an hour has, as far as receipts know.
func (c *coverage) rows(hour time.Time) (n int64) {
	for _, s := range c.receipts {
		n += s.hours[hour.Unix()]
	}
	return n
}

// Plan is what answers a stretch of time for one kind: every moment of it
// lies in exactly one of the three.
type Plan struct {
	raw   []snapshot.Span // raw rows
	hours []snapshot.Span // whole hours of hourly aggregates
	days  []snapshot.Span // whole UTC days of daily aggregates
}

func (r Plan) aggregated() bool { return len(r.hours)+len(r.days) > 0 }

// planOptions says what a question would rather read where both exist.
type planOptions struct {
	aggregates bool                 // aggregates of closed hours even though raw rows exist
	noDays     bool                 // no daily aggregates: the answer needs hours
	split      func(time.Time) bool // hours the answer cuts through: raw where it exists
}

// plan decides what answers [from, to) for a kind. Below the purge line there
// are no raw rows, so from and to must lie on the hour there (see align).
func (c *coverage) plan(kind event.Kind, from, to time.Time, p planOptions) Plan {
	var r Plan
	for at := from; at.Before(to); {
		hour := at.Truncate(time.Hour)
		if end, ok := c.wholeDay(kind, at, to, p); ok {
			r.days = extend(r.days, snapshot.Span{From: at, To: end})
			at = end
			continue
		}
		end := earlier(hour.Add(time.Hour), to)
		if c.fromAggregates(kind, snapshot.Span{From: at, To: end}, p) {
			r.hours = extend(r.hours, snapshot.Span{From: at, To: end})
		} else {
			r.raw = extend(r.raw, snapshot.Span{From: at, To: end})
		}
		at = end
	}
	return r
}

func (c *coverage) fromAggregates(kind event.Kind, piece snapshot.Span, p planOptions) bool {
	if piece.From.Before(c.purged) {
		return true
	}
	whole := piece.To.Sub(piece.From) == time.Hour
	return p.aggregates && whole && c.aggregated(kind, piece.From) && (p.split == nil || !p.split(piece.From))
}

// wholeDay reports whether at begins a UTC day that daily aggregates answer.
func (c *coverage) wholeDay(kind event.Kind, at, to time.Time, p planOptions) (end time.Time, ok bool) {
	end = at.Add(Day)
	_, receipt := c.receipts[kind].days[at.Unix()]
	if p.noDays || !receipt || !at.Equal(at.Truncate(Day)) || end.After(to) {
		return end, false
	}
	for hour := at; hour.Before(end); hour = hour.Add(time.Hour) {
		if !c.fromAggregates(kind, snapshot.Span{From: hour, To: hour.Add(time.Hour)}, p) {
			return end, false
		}
	}
	return end, true
}

// align moves the edges of a range outwards to where an aggregate begins, where
// only aggregates exist.
func (c *coverage) align(from, to time.Time) (time.Time, time.Time) {
	if from.Before(c.purged) {
		from = c.partStart(from)
	}
	if last := to.Add(-time.Microsecond); last.Before(c.purged) && !c.partStart(to).Equal(to) {
		to = metricsdb.PartEnd(metricsdb.PartStart(to))
		if !c.partStart(to).Equal(to) {
			to = to.Truncate(time.Hour).Add(time.Hour)
		}
	}
	return from, to
}

// partStart returns the start of the aggregate that a moment lies in.
func (c *coverage) partStart(t time.Time) time.Time {
	if hour := t.UTC().Truncate(time.Hour); c.whole[hour.Unix()] {
		return hour
	}
	return metricsdb.PartStart(t)
}

// extend appends a span, joining it to the last where they touch.
func extend(spans []snapshot.Span, next snapshot.Span) []snapshot.Span {
	if n := len(spans); n > 0 && spans[n-1].To.Equal(next.From) {
		spans[n-1].To = next.To
		return spans
	}
	return append(spans, next)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
