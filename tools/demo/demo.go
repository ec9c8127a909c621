package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// Options say what past to make.
type Options struct {
	Days           int       // how many, up to Now
	RequestsPerDay int       // of a working day; weekends have a third
	Seed           uint64    // same seed, same data
	Now            time.Time // where the past ends
	// Aggregate does a retention run as of a time: the aggregator's, with its
	// clock set.
	Aggregate func(ctx context.Context, at time.Time) error
	// Progress is called after each day; may be nil.
	Progress func(Progress)
}

// Progress is how far a demo is.
type Progress struct {
	Day      time.Time // the day that is done
	Done     int       // days done, of Days
	Days     int
	Requests int64 // stored so far
	Events   int64
}

// DefaultOptions returns ninety days of 20,000 requests that end at now.
func DefaultOptions(now time.Time) Options {
	return Options{Days: 90, RequestsPerDay: 20_000, Seed: 1, Now: now}
}

// Validate returns every rule the options break.
func (o Options) Validate() error {
	var errs []error
	if o.Days < 1 || o.Days > 365 {
		errs = append(errs, errors.New("days: from 1 to 365"))
	}
	if o.RequestsPerDay < 1 || o.RequestsPerDay > 10_000_000 {
		errs = append(errs, errors.New("requests per day: from 1 to 10000000"))
	}
	if o.Now.IsZero() {
		errs = append(errs, errors.New("now: is required"))
	}
	if o.Aggregate == nil {
		errs = append(errs, errors.New("aggregate: is required"))
	}
	return errors.Join(errs...)
}

// Run makes the past. It refuses an installation that has one.
func Run(ctx context.Context, pool *pgxpool.Pool, o Options) (Progress, error) {
	progress := Progress{Days: o.Days}
	if err := o.Validate(); err != nil {
		return progress, err
	}
	end := o.Now.UTC().Truncate(time.Microsecond)
	today := end.Truncate(24 * time.Hour)
	first := today.AddDate(0, 0, -(o.Days - 1))
	s := &store{pool: pool}
	if err := s.open(ctx, first); err != nil {
		return progress, err
	}
	w := newWorld(o.Seed, first, today)
	for i := range o.Days {
		day := first.AddDate(0, 0, i)
		stop := day.AddDate(0, 0, 1)
		if stop.After(end) {
			stop = end
		}
		b := w.day(day, stop, o.RequestsPerDay)
		if err := s.put(ctx, day, b); err != nil {
			return progress, fmt.Errorf("store %s: %w", day.Format(time.DateOnly), err)
		}
		// A minute later, so that the day's last hour counts as closed.
		at := stop
		if stop.Before(end) {
			at = stop.Add(time.Minute)
		}
		if err := o.Aggregate(ctx, at); err != nil {
			return progress, fmt.Errorf("aggregate %s: %w", day.Format(time.DateOnly), err)
		}
		progress.Day, progress.Done = day, i+1
		progress.Requests += int64(len(b.requests))
		progress.Events += int64(len(b.events))
		if o.Progress != nil {
			o.Progress(progress)
		}
	}
	return progress, nil
}

// batch is what one day brings.
type batch struct {
	requests []event.Performance
	events   []event.Usage
}
