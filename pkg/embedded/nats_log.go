package embedded

import (
	"fmt"
	"log/slog"
	"sync/atomic"
)

// natsLog passes the server's log lines on. Notices (a banner of a dozen lines at each
// start) go to debug, as do debug lines; trace lines are never asked for.
type natsLog struct {
	logger *slog.Logger
	first  atomic.Pointer[string]
}

func newNATSLog(logger *slog.Logger) *natsLog { return &natsLog{logger: logger} }

func (l *natsLog) Noticef(format string, v ...any) { l.logger.Debug(fmt.Sprintf(format, v...)) }
func (l *natsLog) Debugf(format string, v ...any)  { l.logger.Debug(fmt.Sprintf(format, v...)) }
func (l *natsLog) Tracef(format string, v ...any)  { l.logger.Debug(fmt.Sprintf(format, v...)) }
func (l *natsLog) Warnf(format string, v ...any)   { l.logger.Warn(fmt.Sprintf(format, v...)) }
func (l *natsLog) Errorf(format string, v ...any)  { l.logger.Error(fmt.Sprintf(format, v...)) }

// Fatalf keeps the first fatal line: a stand-alone nats-server would exit here, an
// embedded one carries on without its listener, and start reports the line instead.
func (l *natsLog) Fatalf(format string, v ...any) {
	line := fmt.Sprintf(format, v...)
	l.first.CompareAndSwap(nil, &line)
	l.logger.Error(line)
}

func (l *natsLog) fatal() string {
	if line := l.first.Load(); line != nil {
		return *line
	}
	return ""
}
