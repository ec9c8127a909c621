package replay

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/tools/console"
)

// TailOptions say which events to show, and how.
type TailOptions struct {
	Log   jetstream.JetStream
	App   string
	Kinds []event.Kind
	JSON  bool
	Out   io.Writer
	Ready func() // called once everything published from now on is shown
}

// Tail writes events as they come, one a line, until ctx ends.
func Tail(ctx context.Context, o TailOptions) error {
	s, err := stream.OpenSource(ctx, o.Log, stream.Selection{App: o.App, Kinds: o.Kinds, Follow: true})
	if err != nil {
		return err
	}
	defer s.Close()
	if o.Ready != nil {
		o.Ready()
	}
	var lines []byte
	for {
		m, err := s.Next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		b, err := m.Decode()
		if err != nil {
			lines = fmt.Appendf(lines[:0], "# message %d cannot be read: %v\n", m.Sequence, err)
		} else if lines, err = appendLines(lines[:0], b, o.JSON); err != nil {
			return err
		}
		if _, err := o.Out.Write(lines); err != nil {
			return err
		}
	}
}

// describe appends what people want to see of an event, by kind. Events of a
// kind without a description are shown as JSON.
var describe = map[event.Kind]func(dst []byte, b *event.Batch, i int) []byte{
	event.KindPerformance: func(dst []byte, b *event.Batch, i int) []byte { return appendPerformance(dst, &b.Performance[i]) },
	event.KindUsage:       func(dst []byte, b *event.Batch, i int) []byte { return appendUsage(dst, &b.Usage[i]) },
}

func appendLines(dst []byte, b *event.Batch, asJSON bool) ([]byte, error) {
	in := describe[b.Kind]
	for i := range b.Len() {
		if in != nil && !asJSON {
			dst = in(dst, b, i)
			continue
		}
		var err error
		if dst, err = encodeLine(dst, b, i); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

const timeOfDay = "15:04:05.000"

func appendPerformance(dst []byte, p *event.Performance) []byte {
	dst = fmt.Appendf(dst, "%s  %s  %-6s %s  %d  %s", p.Timestamp.Local().Format(timeOfDay), console.Printable(p.App), p.Method, console.Printable(p.Endpoint),
		p.StatusCode, (time.Duration(p.ResponseTimeMS * float64(time.Millisecond))).Round(10*time.Microsecond))
	if p.ErrorType != "" {
		dst = fmt.Appendf(dst, "  %s", console.Printable(p.ErrorType))
	}
	return append(appendUser(dst, p.UserID), '\n')
}

func appendUsage(dst []byte, u *event.Usage) []byte {
	dst = fmt.Appendf(dst, "%s  %s  %s", u.Timestamp.Local().Format(timeOfDay), console.Printable(u.App), u.EventType)
	for _, text := range []string{u.PageName, u.ElementID} {
		if text != "" {
			dst = fmt.Appendf(dst, "  %s", console.Printable(text))
		}
	}
	if u.Success != nil && !*u.Success {
		dst = append(dst, "  failed"...)
	}
	return append(appendUser(dst, u.UserID), '\n')
}

func appendUser(dst []byte, user string) []byte {
	if user == "" {
		user = "(anonymous)"
	}
	return fmt.Appendf(dst, "  %s", console.Printable(user))
}
