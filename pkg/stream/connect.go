package stream

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// dialTimeout covers a TLS handshake across continents.
	dialTimeout = 5 * time.Second
	// reminder is how often the log repeats why NATS cannot be reached.
	reminder = time.Minute
	// The pause after all servers were tried, growing from the first to the second.
	firstPause, longestPause = 250 * time.Millisecond, 2 * time.Second
)

// Link is a connection to NATS that never gives up, and what it knows about why
// it is away. Its methods are safe for concurrent use.
type Link struct {
	where   string // the servers' hosts and ports, without credentials
	secrets []string
	log     *slog.Logger

	mu     sync.Mutex
	conn   *nats.Conn
	cause  string    // why the last attempt failed; "" while connected
	logged time.Time // when cause was logged
}

// Connect is Open without the link: for tools and tests.
func Connect(cfg ConnectConfig, log *slog.Logger, opts ...nats.Option) (*nats.Conn, error) {
	link, err := Open(cfg, log, opts...)
	if err != nil {
		return nil, err
	}
	return link.Conn(), nil
}

// Open returns a link that connects in the background when NATS is not there
// yet, and connects again for ever, whatever it was refused for: credentials
// and certificates get mended while processes run. Nothing is buffered for a
// server that is away. An error means that the configuration cannot be used, or,
// with the option nats.RetryOnFailedConnect(false), that NATS cannot be reached.
func Open(cfg ConnectConfig, log *slog.Logger, opts ...nats.Option) (*Link, error) {
	hosts, err := cfg.hosts()
	if err != nil {
		return nil, err
	}
	own, err := cfg.options()
	if err != nil {
		return nil, err
	}
	link := NewLink(strings.Join(hosts, ", "), log)
	link.secrets = cfg.secrets()
	own = append(append(link.Options(cfg.Name), own...), opts...)
	nc, err := nats.Connect(cfg.URL, own...)
	if err != nil {
		return nil, fmt.Errorf("cannot reach %s: %s", link.where, link.redact(err))
	}
	link.Attach(nc)
	return link, nil
}

// NewLink returns a link to the named place. Connect with its Options, then call Attach.
func NewLink(where string, log *slog.Logger) *Link { return &Link{where: where, log: log} }

// Attach tells the link which connection it watches.
func (l *Link) Attach(nc *nats.Conn) {
	l.mu.Lock()
	l.conn = nc
	l.mu.Unlock()
	if nc.IsConnected() {
		l.connected(nc)
	}
}

// Conn returns the connection.
func (l *Link) Conn() *nats.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}

// JetStream returns the JetStream API over the link, of a domain when one is named.
func (l *Link) JetStream(domain string) (jetstream.JetStream, error) {
	if domain == "" {
		return jetstream.New(l.Conn())
	}
	return jetstream.NewWithDomain(l.Conn(), domain)
}

// Trouble returns why there is no connection, with the servers' addresses; nil
// when there is one. It never contains credentials.
func (l *Link) Trouble() error {
	nc := l.Conn()
	if nc == nil {
		return fmt.Errorf("not connected to %s yet", l.where)
	}
	if nc.IsConnected() {
		return nil
	}
	return fmt.Errorf("cannot reach %s: %s", l.where, l.why(nc))
}

// why returns the cause of the last failure.
func (l *Link) why(nc *nats.Conn) string {
	if err := nc.LastError(); err != nil {
		return l.redact(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause == "" {
		return "connecting"
	}
	return l.cause
}

// Options are what every connection of Lakepulse has in common.
func (l *Link) Options(name string) []nats.Option {
	return []nats.Option{
		nats.Name(name),
		nats.Timeout(dialTimeout),
		nats.RetryOnFailedConnect(true),
		nats.IgnoreAuthErrorAbort(),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(l.pause),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.ConnectHandler(l.connected),
		nats.ReconnectHandler(l.connected),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { l.failed(err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				l.failed(err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			l.log.Warn("nats: asynchronous error", "server", l.where, "subject", subject, "error", l.redact(err))
		}),
	}
}

// pause is called after every server was tried in vain.
func (l *Link) pause(attempts int) time.Duration {
	if nc := l.Conn(); nc != nil {
		if err := nc.LastError(); err != nil {
			l.failed(err)
		}
	}
	return min(longestPause, firstPause<<min(max(attempts-1, 0), 10))
}

// failed keeps the cause, and logs it when it is new or was logged a while ago.
func (l *Link) failed(err error) {
	cause := l.redact(err)
	l.mu.Lock()
	due := cause != l.cause || time.Since(l.logged) >= reminder
	l.cause = cause
	if due {
		l.logged = time.Now()
	}
	l.mu.Unlock()
	if due {
		l.log.Warn("nats: cannot reach the server, trying on", "server", l.where, "error", cause)
	}
}

func (l *Link) connected(nc *nats.Conn) {
	l.mu.Lock()
	l.cause, l.logged = "", time.Time{}
	l.mu.Unlock()
	l.log.Info("nats: connected", "server", l.where, "name", nc.ConnectedServerName())
}

// redact returns an error's text without any credential it may quote.
func (l *Link) redact(err error) string {
	text := err.Error()
	for _, secret := range l.secrets {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}

// errClosed says that a connection ended for good.
var errClosed = errors.New("the connection to NATS was closed by an error that it does not survive")

// OnClosed calls f when the connection ends for good although nobody closed it.
// The server can cause this by an error that the client library does not know.
func (l *Link) OnClosed(f func(error)) {
	l.Conn().SetClosedHandler(func(nc *nats.Conn) {
		if err := nc.LastError(); err != nil {
			f(fmt.Errorf("%w: %s", errClosed, l.redact(err)))
		}
	})
}
