package replay

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
)

// deadPage is how many dead letters are in memory at a time.
const deadPage = 100

// EachDead calls f for the dead letters that are named, or for all there are at
// the moment of the call. One that is named and gone is no error for drop and
// requeue: they have done their work before.
func EachDead(ctx context.Context, js jetstream.JetStream, sequences []uint64, all bool, f func(*stream.DeadLetter) error) error {
	for _, sequence := range sequences {
		d, err := stream.GetDead(ctx, js, sequence)
		if err != nil {
			return err
		}
		if err := f(d); err != nil {
			return err
		}
	}
	if !all {
		return nil
	}
	// A letter that is requeued and refused again comes back with a later number:
	// only those that were there at the beginning are meant.
	s, err := js.Stream(ctx, stream.DeadName)
	if err != nil {
		return fmt.Errorf("stream %s: %w", stream.DeadName, err)
	}
	last := s.CachedInfo().State.LastSeq
	for from := uint64(1); ; {
		list, err := stream.ListDead(ctx, js, from, deadPage)
		if err != nil {
			return err
		}
		for _, d := range list {
			if d.Sequence > last {
				return nil
			}
			if err := f(d); err != nil {
				return err
			}
			from = d.Sequence + 1
		}
		if len(list) < deadPage {
			return nil
		}
	}
}

// Act requeues or drops a dead letter, or does as if.
type Act struct {
	Log    jetstream.JetStream
	DryRun bool
	Out    io.Writer
}

// Requeue puts a letter back onto the log. Doing it twice changes nothing.
func (a Act) Requeue(ctx context.Context, d *stream.DeadLetter) error {
	if !a.DryRun {
		if err := stream.Requeue(ctx, a.Log, d); err != nil {
			return err
		}
	}
	return a.say("requeued", "requeue", d)
}

// Drop removes a letter for good.
func (a Act) Drop(ctx context.Context, d *stream.DeadLetter) error {
	if !a.DryRun {
		if err := stream.DropDead(ctx, a.Log, d.Sequence); err != nil && !errors.Is(err, stream.ErrNoDeadLetter) {
			return err
		}
	}
	return a.say("dropped", "drop", d)
}

func (a Act) say(done, would string, d *stream.DeadLetter) error {
	if a.DryRun {
		done = "would " + would
	}
	_, err := fmt.Fprintf(a.Out, "%s %d (%s, from message %d): %s\n", done, d.Sequence, d.OriginalSubject, d.OriginalSequence, printable(d.Reason))
	return err
}

// ListDead writes the dead letters as a table.
func ListDead(ctx context.Context, js jetstream.JetStream, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	if _, err := fmt.Fprintln(w, "LETTER\tFIRST SEEN\tAPP\tKIND\tBYTES\tVERSION\tMESSAGE\tREASON"); err != nil {
		return err
	}
	err := EachDead(ctx, js, nil, true, func(d *stream.DeadLetter) error {
		_, err := fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%s\t%d\t%s\n", d.Sequence, d.FirstSeen.UTC().Format(time.RFC3339), printable(d.App),
			d.Kind, len(d.Data), printable(d.CodeVersion), d.OriginalSequence, printable(d.Reason))
		return err
	})
	return errors.Join(err, w.Flush())
}

// letter is a dead letter as show and list --json write it.
type letter struct {
	Sequence         uint64     `json:"letter"`
	App              string     `json:"app"`
	Kind             event.Kind `json:"kind"`
	Reason           string     `json:"reason"`
	FirstSeen        time.Time  `json:"first_seen"`
	CodeVersion      string     `json:"code_version"`
	OriginalSubject  string     `json:"original_subject"`
	OriginalSequence uint64     `json:"original_sequence"`
	SchemaVersion    int        `json:"schema_version"`
	Events           any        `json:"events,omitempty"`
	Raw              []byte     `json:"raw,omitempty"` // base64, of what cannot be read
}

// ShowDead writes a dead letter with what is in it, as JSON.
func ShowDead(out io.Writer, d *stream.DeadLetter) error {
	l := letter{
		Sequence: d.Sequence, App: d.App, Kind: d.Kind, Reason: d.Reason, FirstSeen: d.FirstSeen.UTC(), CodeVersion: d.CodeVersion,
		OriginalSubject: d.OriginalSubject, OriginalSequence: d.OriginalSequence, SchemaVersion: d.SchemaVersion,
	}
	switch b, err := event.Decode(d.SchemaVersion, d.Kind, d.Data); {
	case err != nil:
		l.Raw = d.Data
	case b.Kind == event.KindUsage:
		l.Events = b.Usage
	default:
		l.Events = b.Performance
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(l)
}
