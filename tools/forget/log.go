package forget

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/retry"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// rewriter takes a user out of streams.
type rewriter struct {
	js         jetstream.JetStream
	user, name string
	dry        bool
	messages   int
	events     int
}

// log rewrites the event log and returns the last sequence it looked at. What it
// publishes itself comes after that and needs no look.
func (w *rewriter) log(ctx context.Context) (uint64, error) {
	s, err := w.js.Stream(ctx, stream.Name)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", stream.Name, err)
	}
	last := s.CachedInfo().State.LastSeq
	return last, w.each(ctx, s, last, func(raw *jetstream.RawStreamMsg) error {
		found, data := w.rewrite(raw)
		if found == 0 {
			return nil
		}
		w.messages++
		w.events += found
		if w.dry {
			return nil
		}
		msg := nats.NewMsg(raw.Subject)
		msg.Header, msg.Data = ourHeaders(raw), data
		msg.Header.Set(event.HeaderSchema, strconv.Itoa(event.SchemaVersion))
		if _, err := w.js.PublishMsg(ctx, msg, jetstream.WithExpectStream(stream.Name)); err != nil {
			return fmt.Errorf("publish message %d rewritten: %w", raw.Sequence, err)
		}
		if err := s.SecureDeleteMsg(ctx, raw.Sequence); err != nil {
			return fmt.Errorf("erase message %d: %w", raw.Sequence, err)
		}
		return nil
	})
}

// deadLetters rewrites the dead letters that can be read; one that cannot is
// erased if it holds the user's id as text.
func (w *rewriter) deadLetters(ctx context.Context) (int, error) {
	s, err := w.js.Stream(ctx, stream.DeadName)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", stream.DeadName, err)
	}
	letters := 0
	err = w.each(ctx, s, s.CachedInfo().State.LastSeq, func(raw *jetstream.RawStreamMsg) error {
		found, data := w.rewrite(raw)
		if found == 0 {
			return nil
		}
		letters++
		if w.dry {
			return nil
		}
		if data != nil {
			msg := nats.NewMsg(raw.Subject)
			msg.Header, msg.Data = ourHeaders(raw), data
			if _, err := w.js.PublishMsg(ctx, msg, jetstream.WithExpectStream(stream.DeadName)); err != nil {
				return fmt.Errorf("publish dead letter %d rewritten: %w", raw.Sequence, err)
			}
		}
		if err := s.SecureDeleteMsg(ctx, raw.Sequence); err != nil {
			return fmt.Errorf("erase dead letter %d: %w", raw.Sequence, err)
		}
		return nil
	})
	return letters, err
}

// ourHeaders returns the headers we have put on a message. The server's own must
// not go out again: a reader would take the old sequence for the new one's.
func ourHeaders(raw *jetstream.RawStreamMsg) nats.Header {
	h := nats.Header{}
	for key, values := range raw.Header {
		if strings.HasPrefix(key, "Lakepulse-") {
			h[key] = values
		}
	}
	return h
}

// each calls f for the messages of a stream up to a sequence.
func (w *rewriter) each(ctx context.Context, s jetstream.Stream, last uint64, f func(*jetstream.RawStreamMsg) error) error {
	for next := uint64(1); next <= last; {
		raw, err := s.GetMsg(ctx, next, jetstream.WithGetMsgSubject(">"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read message %d: %w", next, err)
		}
		if raw.Sequence > last {
			return nil
		}
		if err := f(raw); err != nil {
			return err
		}
		next = raw.Sequence + 1
	}
	return nil
}

// rewrite returns how many events of the user a message holds, and the message
// without the user. A message that cannot be read is searched for the id as
// text; found in there, there is nothing to put in its place.
func (w *rewriter) rewrite(raw *jetstream.RawStreamMsg) (events int, without []byte) {
	kind, _ := stream.Parse(raw.Subject)
	version, err := strconv.Atoi(raw.Header.Get(event.HeaderSchema))
	if err != nil {
		version = 0
	}
	b, err := event.Decode(version, kind, raw.Data)
	if err != nil {
		if bytes.Contains(raw.Data, []byte(w.user)) {
			return 1, nil
		}
		return 0, nil
	}
	for i := range b.Len() {
		if e := b.At(i); *e.Head().UserID == w.user {
			e.Pseudonymise(w.name)
			events++
		}
	}
	return events, b.Encode(nil)
}

// storedPoll is the time between looks at the writers' position.
const storedPoll = 100 * time.Millisecond

// awaitStored waits until writers have stored everything up to a sequence: only
// then no message with the old name is in anybody's hands.
func awaitStored(ctx context.Context, p Params, last uint64) error {
	ctx, cancel := context.WithTimeout(ctx, p.Patience)
	defer cancel()
	for {
		position, err := stream.ReadPosition(ctx, p.JS, p.Now)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil // no writer has ever read this log
		}
		if err == nil && (position.Sequence >= last || position.Waiting == 0) {
			return nil
		}
		if retry.Sleep(ctx, storedPoll) != nil {
			return fmt.Errorf("the writers have not stored the log up to message %d yet; the log is rewritten, run this again for the database", last)
		}
	}
}
