// Package settings holds the recorded settings of an installation: what lives
// how long, and the shape of the event log. They are one value for all its
// processes.
//
//	settings set ─► table settings ─► role with the database ─► bucket in the log ─► ingest
//	                                  (reads every 15 s)         (reads every 15 s)
//
// # Invariants
//
//   - The first process of an installation records what it was told, or the
//     defaults. After that a flag or variable never changes a recorded value.
//   - A process that is told another value than the recorded one names both and
//     does not start.
//   - Ingest knows no database: it reads the settings and the purge line from the
//     log's bucket. An event older than the purge line is refused, also while the
//     retention grows.
package settings

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// The names of the settings.
const (
	RawRetention       = "raw-retention"
	AggregateRetention = "aggregate-retention"
	StreamReplicas     = "stream-replicas"
	StreamMaxBytes     = "stream-max-bytes"
)

// Names lists the settings in the order they are shown.
func Names() []string {
	return []string{RawRetention, AggregateRetention, StreamReplicas, StreamMaxBytes}
}

// Values are the settings of an installation. A zero value says nothing: the
// flag was not given, or the setting is not recorded yet.
type Values struct {
	RawRetention       time.Duration // how long raw rows live
	AggregateRetention time.Duration // how long aggregates live
	StreamReplicas     int           // replicas of the event log
	StreamMaxBytes     int64         // bytes the event log may take; -1 leaves it to the server
}

// Defaults returns the values of an installation that was told nothing.
func Defaults() Values {
	return Values{RawRetention: 7 * 24 * time.Hour, AggregateRetention: 90 * 24 * time.Hour, StreamReplicas: 1, StreamMaxBytes: -1}
}

// Or returns the values with those that say nothing taken from others.
func (v Values) Or(others Values) Values {
	return Values{
		RawRetention:       cmp.Or(v.RawRetention, others.RawRetention),
		AggregateRetention: cmp.Or(v.AggregateRetention, others.AggregateRetention),
		StreamReplicas:     cmp.Or(v.StreamReplicas, others.StreamReplicas),
		StreamMaxBytes:     cmp.Or(v.StreamMaxBytes, others.StreamMaxBytes),
	}
}

// Get returns the text of a setting; "" where it says nothing.
func (v Values) Get(name string) string {
	switch name {
	case RawRetention:
		return durationText(v.RawRetention)
	case AggregateRetention:
		return durationText(v.AggregateRetention)
	case StreamReplicas:
		return numberText(int64(v.StreamReplicas))
	case StreamMaxBytes:
		return numberText(v.StreamMaxBytes)
	}
	return ""
}

// Set parses the text of a setting into the values.
func (v *Values) Set(name, text string) error {
	var err error
	switch name {
	case RawRetention:
		v.RawRetention, err = time.ParseDuration(text)
	case AggregateRetention:
		v.AggregateRetention, err = time.ParseDuration(text)
	case StreamReplicas:
		v.StreamReplicas, err = strconv.Atoi(text)
	case StreamMaxBytes:
		v.StreamMaxBytes, err = strconv.ParseInt(text, 10, 64)
	default:
		return fmt.Errorf("%s: there is no such setting; there are %v", name, Names())
	}
	if err != nil {
		return fmt.Errorf("%s: %q is not a valid value, such as %s", name, text, Defaults().Get(name))
	}
	return nil
}

// Validate returns every rule the values break. Values that say nothing break none.
func (v Values) Validate() error {
	var errs []error
	if v.RawRetention != 0 && v.RawRetention < time.Hour {
		errs = append(errs, fmt.Errorf("%s %s: must be at least an hour", RawRetention, v.RawRetention))
	}
	if v.AggregateRetention != 0 && v.AggregateRetention < v.RawRetention {
		errs = append(errs, fmt.Errorf("%s %s: must not be shorter than %s %s", AggregateRetention, v.AggregateRetention, RawRetention, v.RawRetention))
	}
	if v.StreamReplicas != 0 && (v.StreamReplicas < 1 || v.StreamReplicas > 5) {
		errs = append(errs, fmt.Errorf("%s %d: must be between 1 and 5", StreamReplicas, v.StreamReplicas))
	}
	if v.StreamMaxBytes < -1 {
		errs = append(errs, fmt.Errorf("%s %d: must be positive, or -1 to leave it to the server", StreamMaxBytes, v.StreamMaxBytes))
	}
	return errors.Join(errs...)
}

// ErrConflict says that a process was told another value than the recorded one.
var ErrConflict = errors.New("settings disagree")

// Conflict returns an error that names both values of every retention that a
// process was told otherwise than recorded. The shape of the log is no conflict:
// the log keeps the shape it has, and the process says that it expects another.
func Conflict(told, recorded Values) error {
	var errs []error
	for _, name := range []string{RawRetention, AggregateRetention} {
		t, r := told.Get(name), recorded.Get(name)
		if t != "" && r != "" && t != r {
			errs = append(errs, fmt.Errorf("%w: %s is %s in this installation, this process was told %s; leave the flag and its variable out, or run `lakepulse settings set %s=%s`",
				ErrConflict, name, r, t, name, t))
		}
	}
	return errors.Join(errs...)
}

// durationText writes whole hours as 168h, not 168h0m0s: it is what people type.
func durationText(d time.Duration) string {
	switch {
	case d == 0:
		return ""
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	}
	return d.String()
}

func numberText(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}
