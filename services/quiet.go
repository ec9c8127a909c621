package services

import (
	"errors"
	"log/slog"

	"go.uber.org/dig"
	"go.uber.org/fx/fxevent"
)

// quietly keeps fx's account of its own work out of the log unless it failed.
func quietly(log *slog.Logger) fxevent.Logger { return fxLog{log} }

type fxLog struct{ log *slog.Logger }

// LogEvent implements fxevent.Logger.
func (l fxLog) LogEvent(e fxevent.Event) {
	switch e := e.(type) {
	case *fxevent.OnStopExecuted:
		if e.Err != nil {
			l.log.Error("stopping a part failed", "part", e.CallerName, "error", e.Err)
		}
	case *fxevent.OnStartExecuted:
		l.log.Debug("part started", "part", e.CallerName, "took", e.Runtime)
	}
}

// rootCause takes fx's description of its graph off an error: an operator wants
// to read what went wrong.
func rootCause(err error) error {
	if cause := dig.RootCause(err); cause != nil {
		return cause
	}
	return errors.Unwrap(err)
}
