package query

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
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
	complete map[event.Kind]*standing
}

// standing is which hours and days of a kind stand in aggregates, by Unix time,
// and how many rows each was made from.
type standing struct{ hours, days map[int64]int64 }

// readCoverage reads what there is between two moments.
func readCoverage(ctx context.Context, tx pgx.Tx, from, to time.Time) (*coverage, error) {
	c := &coverage{complete: map[event.Kind]*standing{}}
	for _, kind := range event.Kinds() {
		c.complete[kind] = &standing{hours: map[int64]int64{}, days: map[int64]int64{}}
	}
	var purged, stored *time.Time
	err := tx.QueryRow(ctx, `SELECT (SELECT purged_before FROM purge_line WHERE isfinite(purged_before)),
		(SELECT min(stored_through) FROM stream_positions WHERE isfinite(stored_through))`).Scan(&purged, &stored)
	if err != nil {
		return nil, fmt.Errorf("read purge line: %w", err)
	}
	if purged != nil {
		c.purged = purged.UTC()
	}
	if stored != nil {
		c.stored = stored.UTC()
	}
	return c, c.readReceipts(ctx, tx, from, to)
}

// readPurgeLine returns since when raw rows exist.
func readPurgeLine(ctx context.Context, tx pgx.Tx) (time.Time, error) {
	c, err := readCoverage(ctx, tx, time.Time{}, time.Time{})
	if err != nil {
		return time.Time{}, err
	}
	return c.purged, nil
}

// settled reports whether an hour's rows all stand in its aggregates.
func (c *coverage) settled(kind event.Kind, hour time.Time) bool {
	_, receipt := c.complete[kind].hours[hour.Unix()]
	return receipt || hour.Before(c.purged)
}

// rows is how many raw rows an hour has, as far as receipts know.
func (c *coverage) rows(hour time.Time) (n int64) {
	for _, s := range c.complete {
		n += s.hours[hour.Unix()]
	}
	return n
}

// reading is what answers a stretch of time for one kind: every moment of it
// lies in exactly one of the three.
type reading struct {
	raw   []span // raw rows
	hours []span // whole hours of hourly aggregates
	days  []span // whole UTC days of daily aggregates
}

func (r reading) aggregated() bool { return len(r.hours)+len(r.days) > 0 }

// preference says what a question would rather read where both exist.
type preference struct {
	aggregates bool                 // aggregates of closed hours even though raw rows exist
	noDays     bool                 // no daily aggregates: the answer needs hours
	split      func(time.Time) bool // hours the answer cuts through: raw where it exists
}

// plan decides what answers [from, to) for a kind. Below the purge line there
// are no raw rows, so from and to must lie on the hour there (see align).
func (c *coverage) plan(kind event.Kind, from, to time.Time, p preference) reading {
	var r reading
	for at := from; at.Before(to); {
		hour := at.Truncate(time.Hour)
		if end, ok := c.wholeDay(kind, at, to, p); ok {
			r.days = extend(r.days, span{at, end})
			at = end
			continue
		}
		end := earlier(hour.Add(time.Hour), to)
		if c.fromAggregates(kind, span{at, end}, p) {
			r.hours = extend(r.hours, span{at, end})
		} else {
			r.raw = extend(r.raw, span{at, end})
		}
		at = end
	}
	return r
}

func (c *coverage) fromAggregates(kind event.Kind, piece span, p preference) bool {
	if piece.from.Before(c.purged) {
		return true
	}
	whole := piece.to.Sub(piece.from) == time.Hour
	return p.aggregates && whole && c.settled(kind, piece.from) && (p.split == nil || !p.split(piece.from))
}

// wholeDay reports whether at begins a UTC day that daily aggregates answer.
func (c *coverage) wholeDay(kind event.Kind, at, to time.Time, p preference) (end time.Time, ok bool) {
	end = at.Add(day)
	_, receipt := c.complete[kind].days[at.Unix()]
	if p.noDays || !receipt || !at.Equal(at.Truncate(day)) || end.After(to) {
		return end, false
	}
	for hour := at; hour.Before(end); hour = hour.Add(time.Hour) {
		if !c.fromAggregates(kind, span{hour, hour.Add(time.Hour)}, p) {
			return end, false
		}
	}
	return end, true
}

// align moves the edges of a range outwards to the hour where only aggregates exist.
func (c *coverage) align(from, to time.Time) (time.Time, time.Time) {
	if from.Before(c.purged) {
		from = from.Truncate(time.Hour)
	}
	if last := to.Add(-time.Microsecond); last.Before(c.purged) {
		to = last.Truncate(time.Hour).Add(time.Hour)
	}
	return from, to
}

// extend appends a span, joining it to the last where they touch.
func extend(spans []span, next span) []span {
	if n := len(spans); n > 0 && spans[n-1].to.Equal(next.from) {
		spans[n-1].to = next.to
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
