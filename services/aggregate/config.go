package aggregate

import (
	"errors"
	"time"
)

// Config says what lives how long and when work is done.
type Config struct {
	// RawRetention is how long raw rows live; AggregateRetention how long
	// aggregates do, and the records of what was done beside them.
	RawRetention       time.Duration
	AggregateRetention time.Duration
	// Grace is how long after its end an hour counts as closed. Later rows are
	// counted all the same; this only spares doing most hours twice.
	Grace time.Duration
	// Margin is what the writers' position must be past the moment at which the
	// last event of an hour could have been accepted: for clocks that differ.
	Margin time.Duration
	// Every is the pause between looks for closed hours.
	Every time.Duration
	// Schedule makes this process do the daily run itself, at DailyAt after
	// midnight UTC. Without it someone else triggers it.
	Schedule bool
	DailyAt  time.Duration
	// Lease is for how long a run is believed to be alive after its last sign.
	Lease time.Duration
	// LockTimeout bounds the wait for the purge gate: writers wait behind it.
	LockTimeout time.Duration
	// WarnRows and AlertRows are how many rows of a table are worth a warning
	// and an alert.
	WarnRows, AlertRows int64
	// Instance names this process in receipts; empty is the host's name.
	Instance string
}

// DefaultConfig returns seven days of rows, ninety of aggregates, a look every
// minute and no schedule.
func DefaultConfig() Config {
	return Config{
		RawRetention: 7 * 24 * time.Hour, AggregateRetention: 90 * 24 * time.Hour,
		Grace: 30 * time.Second, Margin: 5 * time.Minute, Every: time.Minute, DailyAt: 2 * time.Hour,
		Lease: 30 * time.Second, LockTimeout: 5 * time.Second, WarnRows: 800_000, AlertRows: 1_000_000,
	}
}

// Validate returns every rule the configuration breaks.
func (c Config) Validate() error {
	var errs []error
	if c.RawRetention < time.Hour {
		errs = append(errs, errors.New("raw retention: at least an hour"))
	}
	if c.AggregateRetention < c.RawRetention {
		errs = append(errs, errors.New("aggregate retention: not shorter than the raw retention"))
	}
	if c.Grace < 0 || c.Margin < 0 {
		errs = append(errs, errors.New("aggregate grace and margin: not negative"))
	}
	if c.Every <= 0 || c.Lease <= 0 || c.LockTimeout <= 0 {
		errs = append(errs, errors.New("aggregate times: must be positive"))
	}
	if c.DailyAt < 0 || c.DailyAt >= 24*time.Hour {
		errs = append(errs, errors.New("aggregate daily run: a time of day"))
	}
	if c.WarnRows <= 0 || c.AlertRows < c.WarnRows {
		errs = append(errs, errors.New("row governance: the warning comes at a positive number of rows, the alert not before it"))
	}
	return errors.Join(errs...)
}
