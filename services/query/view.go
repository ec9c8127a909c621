package query

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
)

// view is a range as one snapshot can answer it.
type view struct {
	rng        timeRange
	raw        []span    // answered by raw rows
	completeTo time.Time // everything accepted before it is stored
	purged     time.Time // no raw rows before it
}

// view finds out what the snapshot holds of rng.
func (s *Service) view(ctx context.Context, tx pgx.Tx, rng timeRange, _ bool) (*view, error) {
	v := &view{rng: rng, raw: []span{{rng.start, rng.end}}, completeTo: rng.start}
	var purged, stored *time.Time
	err := tx.QueryRow(ctx, `SELECT (SELECT purged_before FROM purge_line WHERE isfinite(purged_before)),
		(SELECT min(stored_through) FROM stream_positions WHERE isfinite(stored_through))`).Scan(&purged, &stored)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("read coverage: %w", err)
	}
	for _, known := range []*time.Time{purged, stored} {
		if known != nil && known.After(v.completeTo) {
			v.completeTo = *known
		}
	}
	if now := s.now(); v.completeTo.After(now) {
		v.completeTo = now
	}
	v.completeTo = v.completeTo.UTC()
	if purged != nil {
		v.purged = *purged
	}
	return v, nil
}

// users counts the distinct users of the view; anonymous adds one for all who are not known.
func (v *view) users(ctx context.Context, tx pgx.Tx, f filter, scope userScope, anonymous bool) (int64, error) {
	n, err := countUsers(ctx, tx, v.raw, f, scope)
	if anonymous {
		n++
	}
	return n, err
}

// usersBy counts the distinct users of each bucket.
func (v *view) usersBy(ctx context.Context, tx pgx.Tx, f filter, scope userScope, b buckets, anonymous bool) (map[int64]int64, error) {
	byBucket, err := countUsersBy(ctx, tx, v.raw, f, scope, b)
	if err != nil || !anonymous || !scope.requests {
		return byBucket, err
	}
	return byBucket, addAnonymous(ctx, tx, v.raw, f, b, byBucket)
}

// buckets returns the buckets of the answer. Five minutes cannot be had from
// hourly aggregates.
func (v *view) buckets(interval api.Interval, zone *time.Location) (buckets, error) {
	hasRaw := v.rng.end.After(v.purged)
	switch {
	case interval == api.Interval5Min && !hasRaw:
		return buckets{}, refuse("interval", "no_raw_rows", "interval must be hourly or daily where raw rows are no longer kept")
	case interval == "" && hasRaw && v.rng.length() <= day:
		interval = api.Interval5Min
	case interval == "":
		interval = api.IntervalHourly
	}
	return newBuckets(interval, v.rng, zone), nil
}

// complete reports whether a bucket is over, lies wholly in the range and has
// everything that was accepted for it.
func (v *view) complete(b buckets, start time.Time) bool {
	end := b.end(start)
	return !start.Before(v.rng.start) && !end.After(v.rng.end) && !end.After(v.completeTo)
}

// provenance says what an answer over n events rests on.
func (v *view) provenance(n int64) api.Provenance {
	exact := api.Precision{Kind: api.PrecisionExact}
	return api.Provenance{
		CompleteTo: v.completeTo, RawFrom: &v.rng.start, Alignment: api.AlignmentNone,
		EffectiveStart: v.rng.start, EffectiveEnd: v.rng.end, N: n, Percentiles: exact, Users: exact,
	}
}
