package lakepulse

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// UsageEvent is something a person did, told by the server.
type UsageEvent struct {
	EventType     string         // such as TypeQueryExecuted, or ^[a-z][a-z0-9_.]{0,99}$
	UserID        string         // who did it; required
	PageName      string         // ≤ 255 characters, as ElementID
	ElementID     string         //
	Success       *bool          // nil: does not apply
	Metadata      map[string]any // at most 8 KiB as JSON
	SessionID     string         // the browser tab
	InteractionID string         // the click
	Time          time.Time      // when it happened; zero: now

	metadata json.RawMessage // Metadata as it was when it was tracked
}

// maxAhead is how far in the future ingest lets a timestamp be.
const maxAhead = 5 * time.Minute

// Track records a usage event. It takes the user, the session and the interaction
// that the event does not name from r, which may be nil. It does not wait for the
// event to be sent; the error says which rule the event breaks.
func (c *Client) Track(r *http.Request, e UsageEvent) error {
	if c == nil || c.off {
		return nil
	}
	if r != nil {
		c.complete(&e, r)
	}
	if len(e.Metadata) > 0 {
		raw, err := json.Marshal(e.Metadata)
		if err != nil {
			return fmt.Errorf("lakepulse: metadata: %w", err)
		}
		e.metadata, e.Metadata = raw, nil
	}
	now := c.cfg.Clock()
	if e.Time.IsZero() {
		e.Time = now
	}
	if err := e.check(now); err != nil {
		return fmt.Errorf("lakepulse: invalid usage event: %w", err)
	}
	c.enqueue(&e)
	return nil
}

// maxWaitingMetadata bounds memory: a buffer full of 8 KiB each would be 16 MiB.
const maxWaitingMetadata = 8 << 20

func (c *Client) enqueue(e *UsageEvent) {
	size := int64(len(e.metadata))
	if c.metadata.Add(size) > maxWaitingMetadata {
		c.metadata.Add(-size)
		c.usage.overflow.Add(1)
		return
	}
	pos, place := c.usage.claim()
	if place == nil {
		c.metadata.Add(-size)
		return
	}
	*place = *e
	c.usage.commit(pos)
}

// complete fills what the event does not name from the request.
func (c *Client) complete(e *UsageEvent, r *http.Request) {
	if e.UserID == "" && c.cfg.User != nil {
		e.UserID = c.ask(c.cfg.User, r)
	} else if e.UserID == "" {
		e.UserID = forwardedUser(r)
	}
	if e.SessionID == "" {
		e.SessionID = header(r.Header, headerSession)
	}
	if e.InteractionID == "" {
		e.InteractionID = header(r.Header, headerInteraction)
	}
}

// check returns nil or a *FieldError. The app is the key's and the clock's offset is
// not applied yet.
func (e *UsageEvent) check(now time.Time) error {
	if e.Time.After(now.Add(maxAhead)) {
		return &FieldError{Field: "timestamp", Reason: "must not be more than 5 minutes in the future"}
	}
	u := e.usage(0)
	if err := u.check(); err != nil {
		return err
	}
	return nil
}

func (e *UsageEvent) usage(shift time.Duration) Usage {
	return Usage{
		Timestamp: stored(e.Time.Add(shift)), EventType: e.EventType, UserID: e.UserID, PageName: e.PageName,
		ElementID: e.ElementID, Success: e.Success, Metadata: e.metadata, SessionID: e.SessionID,
		InteractionID: e.InteractionID,
	}
}

// usageFiller turns tracked events into events with an id. They carry no seq, which
// belongs to the session's browser tab.
type usageFiller struct {
	app, version string
	clock        *offset
	waiting      *atomic.Int64 // bytes of metadata in the queue
}

func (f *usageFiller) fill(tracked []UsageEvent, b *Batch) (withheld, broken int) {
	ids := newIDs(len(tracked))
	shift := f.clock.now()
	for i := range tracked {
		u := tracked[i].usage(shift)
		u.App, u.AppVersion = f.app, f.version
		u.ID = ids.next(u.Timestamp)
		b.Usage = append(b.Usage, u)
		f.waiting.Add(-int64(len(u.Metadata)))
	}
	return 0, 0
}
