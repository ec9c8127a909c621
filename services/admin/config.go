package admin

import (
	"errors"
	"time"
)

// Config are the choices of the service.
type Config struct {
	// MirrorEvery is how often the copy in the event log is held against the database.
	MirrorEvery time.Duration
}

// DefaultConfig returns the documented defaults.
func DefaultConfig() Config { return Config{MirrorEvery: 10 * time.Second} }

// Validate returns every rule the configuration breaks.
func (c Config) Validate() error {
	if c.MirrorEvery <= 0 {
		return errors.New("mirror interval of the keys: must be positive")
	}
	return nil
}
