package query

import (
	"errors"
	"time"

	"github.com/lakepulse/lakepulse/api"
)

// MaxRange is the longest range one question may span.
const MaxRange = 90 * 24 * time.Hour

// Config bounds what may be asked and says what the dashboard is told of the installation.
type Config struct {
	RawRetention       time.Duration  // raw rows live this long
	AggregateRetention time.Duration  // aggregates live this long; nothing older may be asked for
	Timeout            time.Duration  // a question takes no longer
	InFlight           int            // questions worked on at once; 0: as many as the pool has connections
	AuthMode           api.MeAuthMode // how callers are known, for /api/v1/me
	Version            string         // the running build, for /api/v1/me; "" is not shown
	WarnRows           int64          // rows of a table that are a warning
	AlertRows          int64          // rows of a table that are an alert
}

// DefaultConfig returns seven days of rows, ninety of aggregates, ten seconds.
func DefaultConfig() Config {
	return Config{
		RawRetention:       7 * 24 * time.Hour,
		AggregateRetention: 90 * 24 * time.Hour,
		Timeout:            10 * time.Second,
		AuthMode:           api.AuthModeDatabricks,
		WarnRows:           800_000,
		AlertRows:          1_000_000,
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
	if c.Timeout <= 0 {
		errs = append(errs, errors.New("query timeout: must be positive"))
	}
	if !c.AuthMode.Valid() {
		errs = append(errs, errors.New("auth mode: dev or databricks"))
	}
	if c.WarnRows <= 0 || c.AlertRows < c.WarnRows {
		errs = append(errs, errors.New("row governance: the warning comes at a positive number of rows, the alert not before it"))
	}
	return errors.Join(errs...)
}
