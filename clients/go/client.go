package lakepulse

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lakepulse/lakepulse/clients/go/rules"
)

// Client records requests and usage events and sends them. Its methods may be
// called from many goroutines at once, and on a nil Client.
type Client struct {
	cfg       Config
	off       bool
	realClock bool
	epoch     time.Time // of records' times
	known     [4]atomic.Pointer[abilities]
	exclude   rules.Exclusions
	notices   *notices
	http      *http.Client // of our own HTTP requests; nil without a URL

	performance *lane[record]
	usage       *lane[UsageEvent]
	metadata    atomic.Int64 // bytes of metadata that wait in the usage lane

	cancel context.CancelFunc // ends what the lanes still do
	lanes  sync.WaitGroup
	close  sync.Once
	closed error
}

// New returns a running client, or what is wrong with cfg. On an error the
// client is nil, which is a client that is off: an app may log the error and go on.
func New(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Client{off: cfg.Disabled || cfg.URL == "" && cfg.Sink == nil, realClock: cfg.Clock == nil}
	c.cfg = cfg.withDefaults()
	if c.off {
		return c, nil
	}
	c.epoch = c.cfg.Clock()
	c.exclude = append(rules.Exclusions(nil), cfg.Exclude...)
	c.notices = newNotices(c.cfg.Logger, c.cfg.Clock)
	if c.cfg.URL != "" {
		c.http = newHTTPClient(cfg.HTTPClient)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	clock := &offset{}
	fill := newFiller(&c.cfg, clock, c.epoch)
	c.performance = newLane(c.laneParams(KindPerformance, c.cfg.BufferSize, clock), fill.skip, fill.fill)
	usage := &usageFiller{app: c.cfg.App, version: c.cfg.AppVersion, clock: clock, waiting: &c.metadata}
	c.usage = newLane(c.laneParams(KindUsage, max(c.cfg.BufferSize/usageShare, 1), clock), nil, usage.fill)
	c.lanes.Add(2)
	go func() { defer c.lanes.Done(); c.performance.run(ctx) }()
	go func() { defer c.lanes.Done(); c.usage.run(ctx) }()
	return c, nil
}

// usageShare is how many performance records wait for one usage event: most apps
// track none from the server, and an idle buffer is memory all the same.
const usageShare = 8

// laneParams gives each lane a sink of its own unless the app brought one: ours
// reuses its buffers.
func (c *Client) laneParams(kind Kind, buffer int, clock *offset) laneParams {
	sink := c.cfg.Sink
	if sink == nil {
		sink = newHTTPSink(&c.cfg, c.http)
	}
	return laneParams{cfg: &c.cfg, kind: kind, buffer: buffer, sink: sink, clock: clock, notices: c.notices}
}

// elapsed returns the time since the client was made. time.Since reads one clock
// where time.Now reads two; the lane works out the moment.
func (c *Client) elapsed() time.Duration {
	if c.realClock {
		return time.Since(c.epoch)
	}
	return c.cfg.Clock().Sub(c.epoch)
}

// Close sends what is buffered and ends the client; what comes later is dropped
// and counted. It takes until ctx is done at most, and less when the collector
// is away: then each kind's last batch is tried three times. The error says how
// many events were lost on the way out.
func (c *Client) Close(ctx context.Context) error {
	if c == nil || c.off {
		return nil
	}
	c.close.Do(func() {
		before := c.Stats().Dropped()
		c.performance.close()
		c.usage.close()
		stop := context.AfterFunc(ctx, c.cancel)
		c.lanes.Wait()
		stop()
		c.cancel()
		if c.http != nil && c.cfg.HTTPClient == nil { // the app's own may be in use elsewhere
			c.http.CloseIdleConnections()
		}
		if lost := c.Stats().Dropped() - before; lost > 0 {
			c.closed = fmt.Errorf("lakepulse: %d events could not be sent before the end", lost)
		}
	})
	return c.closed
}

// Stats are the accounts of a client since it was made.
type Stats struct {
	Performance Account
	Usage       Account
}

// Account is the balance of one kind: Created = Accepted + Rejected + Dropped +
// Withheld + Buffered.
type Account struct {
	Created  int64
	Accepted int64 // ingest has them durably
	Rejected int64 // ingest refused them, each for a reason of its own
	Dropped  int64 // lost: no room, refused batches, or no time left at the end
	Withheld int64 // left out by Config.Before
	Buffered int64 // waiting or on the way
}

// Dropped returns the losses of both kinds.
func (s Stats) Dropped() int64 { return s.Performance.Dropped + s.Usage.Dropped }

// Stats returns the accounts as they are now.
func (c *Client) Stats() Stats {
	if c == nil || c.off {
		return Stats{}
	}
	return Stats{Performance: c.performance.account(), Usage: c.usage.account()}
}
