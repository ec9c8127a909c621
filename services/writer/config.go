package writer

import (
	"errors"
	"time"

	"github.com/lakepulse/lakepulse/pkg/stream"
)

// Config are the choices of a writer.
type Config struct {
	// StoreAllOnStop makes Stop wait until the log is empty.
	StoreAllOnStop bool
	// Workers store batches side by side, each on a connection of its own.
	Workers int
	// MaxRows is when a batch is large enough.
	MaxRows int
	// Pace is the least time from one batch of a worker to its next: events that
	// come one by one share transactions. A first event after a pause never
	// waits, nor does a batch of PaceRows.
	Pace time.Duration
	// PaceRows is when a batch is worth a transaction at once.
	PaceRows int
	// StoreTimeout bounds one attempt to store, the wait for a connection included.
	StoreTimeout time.Duration
	// Topology of the log the writer reads.
	Topology stream.Topology
	// RawRetention says how many daily partitions are kept ready.
	RawRetention time.Duration
	// Instance names this process in the pipeline's status.
	Instance string
	// PositionEvery is how often the position in the log is written down.
	PositionEvery time.Duration
	// StatusEvery is how often the status is written down.
	StatusEvery time.Duration
	// Waits are the pauses before another attempt while the database is away.
	// The last one repeats.
	Waits []time.Duration
	// ProbeEvery is how often a waiting worker looks whether the database is back.
	ProbeEvery time.Duration
}

// DefaultConfig returns the documented defaults.
func DefaultConfig() Config {
	return Config{
		Workers: 2, MaxRows: 10_000, Pace: 25 * time.Millisecond, PaceRows: 2000, StoreTimeout: 60 * time.Second,
		Topology: stream.DefaultTopology(), RawRetention: 7 * 24 * time.Hour, Instance: "writer",
		PositionEvery: time.Second, StatusEvery: 5 * time.Second,
		// A connection that was cut is worth another try at once; an outage is not.
		Waits:      []time.Duration{200 * time.Millisecond, time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute},
		ProbeEvery: time.Second,
	}
}

// Validate returns every rule the configuration breaks.
func (c Config) Validate() error {
	var errs []error
	if c.Workers < 1 {
		errs = append(errs, errors.New("writer workers: must be at least 1"))
	}
	if c.MaxRows < 1 {
		errs = append(errs, errors.New("writer rows: must be at least 1"))
	}
	if c.Pace < 0 || c.PaceRows < 1 {
		errs = append(errs, errors.New("writer pace: must not be negative, and its rows at least 1"))
	}
	if c.StoreTimeout <= 0 || c.PositionEvery <= 0 || c.StatusEvery <= 0 || c.ProbeEvery <= 0 {
		errs = append(errs, errors.New("writer times: must be positive"))
	}
	if len(c.Waits) == 0 {
		errs = append(errs, errors.New("writer waits: at least one is needed"))
	}
	return errors.Join(append(errs, c.Topology.Validate())...)
}
