package verify

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/lakepulse/lakepulse/tools/console"
)

// WriteTable writes a verification for people: a line for each bucket, then the
// ids of those that differ.
func (r *Report) WriteTable(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	p := printer{w: w}
	p.f("HOUR\tAPP\tKIND\tLOG\tDATABASE\tIN FLIGHT\tDEAD\tOLDER\tCHECKSUM\t\n")
	for i := range r.Buckets {
		c := &r.Buckets[i]
		verdict := "equal"
		switch {
		case !c.Equal():
			verdict = "DIFFERS"
		case c.Log != c.Database:
			verdict = "equal but for what is named"
		}
		p.f("%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", c.Hour.Format("2006-01-02T15Z"), console.Printable(c.App), c.Kind, c.Log.Count, c.Database.Count,
			c.InFlight, c.Dead, c.Older, c.Database.Checksum.String()[:16], verdict)
	}
	err := errors.Join(p.err, w.Flush())
	p = printer{w: out, err: err}
	for i := range r.Buckets {
		c := &r.Buckets[i]
		where := fmt.Sprintf("%s %s %s", c.Hour.Format(time.RFC3339), console.Printable(c.App), c.Kind)
		if c.MissingAll > 0 {
			p.f("%s: %d in the log and not in the database:\n", where, c.MissingAll)
			p.ids(c.Missing, c.MissingAll)
		}
		if c.SurplusAll > 0 {
			p.f("%s: %d in the database and not in the log:\n", where, c.SurplusAll)
			p.ids(c.Surplus, c.SurplusAll)
		}
	}
	p.f("The log reaches back to %s.\n", r.Reach.UTC().Format(time.RFC3339))
	if r.Summarised > 0 {
		p.f("%d of its events are from before %s: summarised, their raw rows are deleted.\n", r.Summarised, r.PurgedTo.Format(time.RFC3339))
	}
	if r.Unreadable > 0 {
		p.f("%d of its messages cannot be read; see lakepulse dead list.\n", r.Unreadable)
	}
	return p.err
}

// printer prints until printing fails.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) f(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *printer) ids(ids []uuid.UUID, all int64) {
	for _, id := range ids {
		p.f("  %s\n", id)
	}
	if more := all - int64(len(ids)); more > 0 {
		p.f("  and %d more\n", more)
	}
}
