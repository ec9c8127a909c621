package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// UsageEvent is something a person did, told by the server.
type UsageEvent struct {
	EventType     string         // such as event.TypeQueryExecuted, or ^[a-z][a-z0-9_.]{0,99}$
	UserID        string         // who did it; required
	PageName      string         // ≤ 255 characters, as ElementID
	ElementID     string         //
	Success       *bool          // nil: does not apply
	Metadata      map[string]any // at most 8 KiB as JSON
	SessionID     string         // the browser tab
	InteractionID string         // the click
	Time          time.Time      // when it happened; zero: now

	metadata json.RawMessage // of Metadata, taken when it was tracked
}

// Track records a usage event. From r, which may be nil, come the user, the
// session and the interaction that the event does not name. It does not wait
// for the event to be sent; the error says which rule the event breaks.
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
			return fmt.Errorf("client: metadata: %w", err)
		}
		e.metadata, e.Metadata = raw, nil
	}
	now := c.cfg.Clock()
	if e.Time.IsZero() {
		e.Time = now
	}
	if err := e.validate(now); err != nil {
		return err
	}
	c.enqueue(&e)
	return nil
}

// maxMetadata bounds what waits: a buffer full of 8 KiB each would be 128 MiB.
const maxMetadata = 8 << 20

func (c *Client) enqueue(e *UsageEvent) {
	size := int64(len(e.metadata))
	if c.metadata.Add(size) > maxMetadata {
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

// validate applies ingest's rules here, where the caller can still see the answer.
// The app is the key's affair, and the clock's offset is not applied yet.
func (e *UsageEvent) validate(now time.Time) error {
	u := e.event(0)
	u.ID, u.App = uuid.Max, "app"
	err := u.Validate(event.Window{From: time.Time{}, To: now.Add(event.MaxAhead)})
	if err != nil {
		return errors.Join(errors.New("client: invalid usage event"), err)
	}
	return nil
}

func (e *UsageEvent) event(shift time.Duration) event.Usage {
	u := event.Usage{
		Timestamp: e.Time.Add(shift), EventType: e.EventType, UserID: e.UserID, PageName: e.PageName,
		ElementID: e.ElementID, Success: e.Success, Metadata: e.metadata, SessionID: e.SessionID,
		InteractionID: e.InteractionID,
	}
	u.Normalize()
	return u
}

// usageFiller turns tracked events into events with an id. They carry no seq: a
// session's seq is its browser tab's to count.
type usageFiller struct {
	app, version string
	clock        *offset
	waiting      *atomic.Int64
}

func (f *usageFiller) fill(tracked []UsageEvent, b *event.Batch) (withheld, broken int) {
	ids := newIDs(len(tracked))
	shift := f.clock.now()
	for i := range tracked {
		u := tracked[i].event(shift)
		u.App, u.AppVersion = f.app, f.version
		u.ID = ids.next(u.Timestamp)
		b.Usage = append(b.Usage, u)
		f.waiting.Add(-int64(len(u.Metadata)))
	}
	return 0, 0
}
