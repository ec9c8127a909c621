package deadletter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/tools/console"
)

// pageSize bounds the dead letters held in memory at a time.
const pageSize = 100

// Selection names dead letters: the given sequences, or all that exist when the
// tool starts.
type Selection struct {
	Sequences []uint64
	All       bool
}

// Each calls f for each selected dead letter, in order. A named letter that does
// not exist is stream.ErrNoDeadLetter.
func Each(ctx context.Context, js jetstream.JetStream, sel Selection, f func(*stream.DeadLetter) error) error {
	for _, sequence := range sel.Sequences {
		d, err := stream.GetDead(ctx, js, sequence)
		if err != nil {
			return err
		}
		if err := f(d); err != nil {
			return err
		}
	}
	if !sel.All {
		return nil
	}
	// A requeued letter that fails again comes back under a later sequence: stopping
	// at the last sequence of the start keeps this loop finite.
	s, err := js.Stream(ctx, stream.DeadName)
	if err != nil {
		return fmt.Errorf("stream %s: %w", stream.DeadName, err)
	}
	return eachUpTo(ctx, js, s.CachedInfo().State.LastSeq, f)
}

func eachUpTo(ctx context.Context, js jetstream.JetStream, last uint64, f func(*stream.DeadLetter) error) error {
	for from := uint64(1); ; {
		page, err := stream.ListDead(ctx, js, from, pageSize)
		if err != nil {
			return err
		}
		for _, d := range page {
			if d.Sequence > last {
				return nil
			}
			if err := f(d); err != nil {
				return err
			}
			from = d.Sequence + 1
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// Editor requeues and drops dead letters, and writes a line to Out for each. With
// DryRun it only writes the lines.
type Editor struct {
	JS     jetstream.JetStream
	DryRun bool
	Out    io.Writer
}

// Requeue publishes the letter's message again and removes the letter. The event
// ids make a second requeue harmless.
func (e Editor) Requeue(ctx context.Context, d *stream.DeadLetter) error {
	if !e.DryRun {
		if err := stream.Requeue(ctx, e.JS, d); err != nil {
			return err
		}
	}
	return e.writeLine("requeued", "requeue", d)
}

// Drop removes the letter for good. A letter that is gone already is no error.
func (e Editor) Drop(ctx context.Context, d *stream.DeadLetter) error {
	if !e.DryRun {
		if err := stream.DropDead(ctx, e.JS, d.Sequence); err != nil && !errors.Is(err, stream.ErrNoDeadLetter) {
			return err
		}
	}
	return e.writeLine("dropped", "drop", d)
}

func (e Editor) writeLine(past, infinitive string, d *stream.DeadLetter) error {
	verb := past
	if e.DryRun {
		verb = "would " + infinitive
	}
	_, err := fmt.Fprintf(e.Out, "%s %d (%s, from message %d): %s\n", verb, d.Sequence, d.OriginalSubject, d.OriginalSequence, console.Printable(d.Reason))
	return err
}

// WriteTable writes all dead letters as a table for people.
func WriteTable(ctx context.Context, js jetstream.JetStream, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	if _, err := fmt.Fprintln(w, "LETTER\tFIRST SEEN\tAPP\tKIND\tBYTES\tVERSION\tMESSAGE\tREASON"); err != nil {
		return err
	}
	err := Each(ctx, js, Selection{All: true}, func(d *stream.DeadLetter) error {
		_, err := fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%s\t%d\t%s\n", d.Sequence, d.FirstSeen.UTC().Format(time.RFC3339), console.Printable(d.App),
			d.Kind, len(d.Data), console.Printable(d.CodeVersion), d.OriginalSequence, console.Printable(d.Reason))
		return err
	})
	return errors.Join(err, w.Flush())
}

// document is the JSON that WriteJSON writes for a dead letter.
type document struct {
	Sequence         uint64          `json:"letter"`
	App              string          `json:"app"`
	Kind             event.Kind      `json:"kind"`
	Reason           string          `json:"reason"`
	FirstSeen        time.Time       `json:"first_seen"`
	CodeVersion      string          `json:"code_version"`
	OriginalSubject  string          `json:"original_subject"`
	OriginalSequence uint64          `json:"original_sequence"`
	SchemaVersion    int             `json:"schema_version"`
	Events           json.RawMessage `json:"events,omitempty"`
	Raw              []byte          `json:"raw,omitempty"` // base64, when the message cannot be decoded
}

// WriteJSON writes a dead letter with its events as indented JSON; with its raw bytes
// when they cannot be decoded.
func WriteJSON(out io.Writer, d *stream.DeadLetter) error {
	doc := document{
		Sequence: d.Sequence, App: d.App, Kind: d.Kind, Reason: d.Reason, FirstSeen: d.FirstSeen.UTC(), CodeVersion: d.CodeVersion,
		OriginalSubject: d.OriginalSubject, OriginalSequence: d.OriginalSequence, SchemaVersion: d.SchemaVersion,
	}
	switch b, err := event.Decode(d.SchemaVersion, d.Kind, d.Data); {
	case err != nil:
		doc.Raw = d.Data
	default:
		if doc.Events, err = b.MarshalEvents(); err != nil {
			return err
		}
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}
