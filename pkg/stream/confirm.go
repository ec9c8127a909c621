package stream

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
)

// HeaderConfirm names the subject on which the writer answers once it has
// committed the events of a message. A message without it expects no answer.
const HeaderConfirm = "Lakepulse-Confirm"

const (
	confirmPrefix = "metrics_confirm."
	// stateSubject carries the writers' word on the database, once a second while
	// it is away and once when it is back. Its message is the reason, or empty.
	stateSubject = "metrics_state.database"
	// stateLasts is how long a word on the database counts: three are lost before
	// it expires.
	stateLasts = 3 * time.Second
	// probeEvery lets one publish through while the database is said to be away:
	// another writer may reach it.
	probeEvery = time.Second
)

// Confirmation is a writer's answer to one message. Every event of the message
// is committed, except those it names.
type Confirmation struct {
	// NotStored are the events that became dead letters.
	NotStored []NotStored `json:"not_stored,omitempty"`
	// Reason is set when the whole message became a dead letter.
	Reason string `json:"reason,omitempty"`
}

// NotStored is an event that the database refuses for its content.
type NotStored struct {
	ID     uuid.UUID `json:"id"`
	Reason string    `json:"reason"`
}

// NotStoredError is returned by [Publisher.Publish] when a writer has committed
// the batch except for the events it lists, which are dead letters.
type NotStoredError struct {
	Reasons map[uuid.UUID]string // by event id
}

// Error implements error.
func (e *NotStoredError) Error() string {
	return fmt.Sprintf("%d events of the batch could not be stored", len(e.Reasons))
}

// plus returns both errors as one; either may be nil.
func (e *NotStoredError) plus(other *NotStoredError) *NotStoredError {
	if e == nil || other == nil {
		return cmp.Or(e, other)
	}
	maps.Copy(e.Reasons, other.Reasons)
	return e
}

// Confirm answers the publisher of m, if it asked for an answer. An answer may
// get lost: the publisher then tells its sender to repeat the batch.
func (m *Message) Confirm(nc *nats.Conn, c Confirmation) error {
	subject := m.raw.Headers().Get(HeaderConfirm)
	if subject == "" {
		return nil
	}
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode confirmation: %w", err)
	}
	return nc.Publish(subject, data)
}

// TellState tells all publishers that the database is away and why, or that it
// stores again when reason is empty.
func TellState(nc *nats.Conn, reason string) error {
	return nc.Publish(stateSubject, []byte(reason))
}

// confirmations are the groups of one publisher that wait for a writer's commit.
type confirmations struct {
	prefix  string // of the subjects this process is answered on
	timeout time.Duration
	clock   func() time.Time

	mu        sync.Mutex
	next      uint64
	waiting   map[string]*group // by the subject of their answer
	away      string            // why the database is away; "" when nothing is known
	heard     time.Time         // when away was heard
	lastProbe time.Time
}

func newConfirmations(nc *nats.Conn, timeout time.Duration) (*confirmations, error) {
	c := &confirmations{
		prefix: confirmPrefix + uuid.NewString() + ".", timeout: timeout, clock: time.Now, waiting: map[string]*group{},
	}
	if _, err := nc.Subscribe(c.prefix+"*", func(m *nats.Msg) { c.answer(m.Subject, m.Data) }); err != nil {
		return nil, fmt.Errorf("subscribe to confirmations: %w", err)
	}
	if _, err := nc.Subscribe(stateSubject, func(m *nats.Msg) { c.hear(string(m.Data)) }); err != nil {
		return nil, fmt.Errorf("subscribe to the state of the database: %w", err)
	}
	return c, nil
}

// expect registers g and returns the subject of its answer. Without an answer g
// fails at the timeout.
func (c *confirmations) expect(g *group) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	subject := c.prefix + strconv.FormatUint(c.next, 10)
	c.waiting[subject] = g
	time.AfterFunc(c.timeout, func() { c.finish(subject, Confirmation{}, errUnconfirmed(c.timeout)) })
	return subject
}

func errUnconfirmed(after time.Duration) error {
	return fault.Wrap(fmt.Errorf("no writer confirmed the events within %s", after),
		fault.Unavailable, "The events are not stored yet; send them again under the same ids").After(retryAfter)
}

func (c *confirmations) answer(subject string, data []byte) {
	var confirmation Confirmation
	if err := json.Unmarshal(data, &confirmation); err != nil {
		c.finish(subject, Confirmation{}, fault.Wrap(err, fault.Unavailable, "The writer's answer cannot be read").After(retryAfter))
		return
	}
	c.hear("")
	c.finish(subject, confirmation, nil)
}

// finish ends the wait of a group. Only the first call for a subject counts.
func (c *confirmations) finish(subject string, confirmation Confirmation, err error) {
	c.mu.Lock()
	g := c.waiting[subject]
	delete(c.waiting, subject)
	c.mu.Unlock()
	if g == nil {
		return
	}
	g.err, g.confirmation = err, confirmation
	close(g.done)
}

func (c *confirmations) hear(away string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away, c.heard = away, c.clock()
}

// admit refuses at once while the database is known to be away, except for one
// publish a second.
func (c *confirmations) admit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock()
	if c.away == "" || now.Sub(c.heard) > stateLasts {
		return nil
	}
	if now.Sub(c.lastProbe) >= probeEvery {
		c.lastProbe = now
		return nil
	}
	return fault.Wrap(errors.New(c.away), fault.Unavailable, "The database is not available; send the events again later").After(5 * time.Second)
}

// notStored returns the error for the events of b that became dead letters, nil
// when there are none.
func (c Confirmation) notStored(b *event.Batch) *NotStoredError {
	if c.Reason == "" && len(c.NotStored) == 0 {
		return nil
	}
	found := &NotStoredError{Reasons: map[uuid.UUID]string{}}
	reasons := map[uuid.UUID]string{}
	for _, n := range c.NotStored {
		reasons[n.ID] = n.Reason
	}
	for i := range b.Len() {
		id := *b.At(i).Head().ID
		if reason, ok := reasons[id]; ok {
			found.Reasons[id] = reason
		} else if c.Reason != "" {
			found.Reasons[id] = c.Reason
		}
	}
	if len(found.Reasons) == 0 {
		return nil
	}
	return found
}
