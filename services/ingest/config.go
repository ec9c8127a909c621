package ingest

import (
	"errors"
	"time"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// Config are the choices of ingest.
type Config struct {
	// RawRetention is how old an event may be: older, its hour may be closed for good.
	RawRetention time.Duration
	// MaxBody bounds a request's body in bytes, as sent and as decompressed.
	MaxBody int64
	// MaxInFlight bounds the requests that are worked on at once; of one caller's, a
	// quarter. Those beyond wait a moment, then get 503.
	MaxInFlight int
	// MaxLarge bounds the bodies over 512 KiB that are worked on at once, and so with
	// MaxBody the memory that bodies take; of one caller's, a quarter.
	MaxLarge int
	// BodyTimeout is how long a body may take to arrive.
	BodyTimeout time.Duration
	// Keyless allows performance events, and usage events that name their user,
	// without an API key: under dev authentication only.
	Keyless bool
	// DefaultApp is the app of events that name none and come without a key.
	DefaultApp string
	// Instance names this process in the ledger.
	Instance string
	// LedgerEvery is how often counts go to the ledger.
	LedgerEvery time.Duration
}

// DefaultConfig returns the documented defaults.
func DefaultConfig() Config {
	return Config{
		RawRetention: 7 * 24 * time.Hour, MaxBody: 10 << 20, MaxInFlight: 256, MaxLarge: 8, BodyTimeout: 10 * time.Second,
		DefaultApp: "default", Instance: "ingest", LedgerEvery: 10 * time.Second,
	}
}

// Validate returns every rule the configuration breaks.
func (c Config) Validate() error {
	var errs []error
	if c.RawRetention < time.Hour {
		errs = append(errs, errors.New("raw retention: must be at least an hour"))
	}
	if c.MaxBody < 1<<10 {
		errs = append(errs, errors.New("max body: must be at least 1 KiB"))
	}
	if c.MaxInFlight < 1 {
		errs = append(errs, errors.New("max in flight: must be at least 1"))
	}
	if c.MaxLarge < 1 {
		errs = append(errs, errors.New("max large: must be at least 1"))
	}
	if c.BodyTimeout <= 0 {
		errs = append(errs, errors.New("body timeout: must be positive"))
	}
	if !event.ValidApp(c.DefaultApp) {
		errs = append(errs, errors.New("default app: not a valid app name"))
	}
	if c.LedgerEvery <= 0 {
		errs = append(errs, errors.New("ledger interval: must be positive"))
	}
	return errors.Join(errs...)
}
