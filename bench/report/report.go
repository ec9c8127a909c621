package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Series is one quantity, once a round.
type Series struct {
	Section string    `json:"section"`
	Name    string    `json:"name"`
	Unit    string    `json:"unit"`
	Values  []float64 `json:"values"`
	Median  float64   `json:"median"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
}

// Bar is a promise about a quantity, or about the ratio of two.
type Bar struct {
	Section string  `json:"section"`
	Name    string  `json:"name"`
	Value   float64 `json:"value"` // of the medians
	Min     float64 `json:"min"`   // of the rounds both sides have
	Max     float64 `json:"max"`
	Limit   float64 `json:"limit,omitempty"`
	AtMost  bool    `json:"at_most,omitempty"` // the limit is the most allowed, else the least
	Judged  bool    `json:"judged"`            // a promise, not only a figure
	Met     bool    `json:"met"`
}

// Load is a load average at two moments.
type Load struct {
	Start float64 `json:"start"`
	End   float64 `json:"end"`
}

// Section is how long a part took, and the load average when it began.
type Section struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Load    float64 `json:"load_average"`
}

// Report is one run's measurements.
type Report struct {
	Started  time.Time         `json:"started"`
	Ended    time.Time         `json:"ended"`
	Command  string            `json:"command"`
	Quick    bool              `json:"quick"`
	Machine  map[string]string `json:"machine"`
	Versions map[string]string `json:"versions"`
	// Load is the machine's load average; at the end it is the run's own, mostly.
	Load     Load      `json:"load_average"`
	Sections []Section `json:"sections"`
	Series   []*Series `json:"series"`
	Bars     []Bar     `json:"ratios"`
	Notes    []string  `json:"notes,omitempty"`

	section string
}

// Section begins a part of the table.
func (r *Report) Section(name string) { r.section = name }

// Took ends the present part.
func (r *Report) Took(d time.Duration, load float64) {
	r.Sections = append(r.Sections, Section{Name: r.section, Seconds: d.Seconds(), Load: load})
}

// Note adds a remark below the table.
func (r *Report) Note(format string, args ...any) {
	r.Notes = append(r.Notes, r.section+": "+fmt.Sprintf(format, args...))
}

// Add adds a round's value to a series.
func (r *Report) Add(name, unit string, v float64) {
	s := r.Find(name)
	if s == nil {
		s = &Series{Section: r.section, Name: name, Unit: unit}
		r.Series = append(r.Series, s)
	}
	s.Values = append(s.Values, v)
	sorted := slices.Sorted(slices.Values(s.Values))
	s.Min, s.Max, s.Median = sorted[0], sorted[len(sorted)-1], median(sorted)
}

func median(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// Find returns a series of the present section, nil when there is none.
func (r *Report) Find(name string) *Series {
	for _, s := range r.Series {
		if s.Section == r.section && s.Name == name {
			return s
		}
	}
	return nil
}

// Median returns a series' median, 0 when there is none.
func (r *Report) Median(name string) float64 {
	if s := r.Find(name); s != nil {
		return s.Median
	}
	return 0
}

// Limit is what a bar allows.
type Limit struct {
	Value  float64
	AtMost bool
	none   bool
}

// AtLeast, AtMost and NoLimit make limits.
func AtLeast(v float64) Limit { return Limit{Value: v} }

// AtMost is a limit from above.
func AtMost(v float64) Limit { return Limit{Value: v, AtMost: true} }

// NoLimit is for figures nothing is promised of.
func NoLimit() Limit { return Limit{none: true} }

// Ratio adds the ratio of two series. Nothing is added while one is missing.
func (r *Report) Ratio(name, top, bottom string, limit Limit) {
	a, b := r.Find(top), r.Find(bottom)
	if a == nil || b == nil || b.Median == 0 {
		return
	}
	bar := r.bar(name, a.Median/b.Median, limit)
	// A slow quantity may have fewer rounds than what it is compared with.
	for i := range min(len(a.Values), len(b.Values)) {
		q := a.Values[i] / b.Values[i]
		bar.Min, bar.Max = math.Min(bar.Min, q), math.Max(bar.Max, q)
	}
	r.Bars = append(r.Bars, bar)
}

// Bound adds a bar on a series itself.
func (r *Report) Bound(name, series string, limit Limit) {
	if s := r.Find(series); s != nil {
		bar := r.bar(name+", "+s.Unit, s.Median, limit)
		bar.Min, bar.Max = s.Min, s.Max
		r.Bars = append(r.Bars, bar)
	}
}

func (r *Report) bar(name string, value float64, l Limit) Bar {
	met := value >= l.Value
	if l.AtMost {
		met = value <= l.Value
	}
	return Bar{Section: r.section, Name: name, Value: value, Min: value, Max: value, Limit: l.Value, AtMost: l.AtMost, Judged: !l.none, Met: met && !l.none}
}

// head writes what the table is of.
func (r *Report) head(w io.Writer) {
	fmt.Fprintf(w, "%s\n%s to %s UTC, load average %.2f at the start, %.2f at the end\n", r.Command,
		r.Started.Format("2006-01-02 15:04"), r.Ended.Format("15:04"), r.Load.Start, r.Load.End)
	for _, m := range []map[string]string{r.Machine, r.Versions} {
		var all []string
		for _, name := range slices.Sorted(maps.Keys(m)) {
			all = append(all, name+" "+m[name])
		}
		fmt.Fprintln(w, strings.Join(all, ", "))
	}
	for _, s := range r.Sections {
		fmt.Fprintf(w, "%s %.0f s (load %.2f)  ", s.Name, s.Seconds, s.Load)
	}
	fmt.Fprintln(w)
}

// Print writes the table.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	r.head(t)
	section := ""
	for _, s := range r.Series {
		if s.Section != section {
			section = s.Section
			fmt.Fprintf(t, "\n%s\t\tmedian\tmin\tmax\n", strings.ToUpper(section))
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\n", s.Name, s.Unit, Number(s.Median), Number(s.Min), Number(s.Max))
	}
	fmt.Fprintf(t, "\nRATIOS AND BARS\tbar\tvalue\tmin\tmax\t\n")
	for _, b := range r.Bars {
		limit, verdict := "", ""
		if b.Judged {
			limit, verdict = "≥ "+Number(b.Limit), "MISSED"
			if b.AtMost {
				limit = "≤ " + Number(b.Limit)
			}
			if b.Met {
				verdict = "met"
			}
		}
		fmt.Fprintf(t, "  %s: %s\t%s\t%s\t%s\t%s\t%s\n", b.Section, b.Name, limit, Number(b.Value), Number(b.Min), Number(b.Max), verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, n := range r.Notes {
		if _, err := fmt.Fprintln(w, "note: "+n); err != nil {
			return err
		}
	}
	return nil
}

// Number prints three significant digits.
func Number(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a >= 1e6:
		return strconv.FormatFloat(v/1e6, 'f', 2, 64) + "M"
	case a >= 1e4:
		return strconv.FormatFloat(v/1e3, 'f', 1, 64) + "k"
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}

// Write stores the report as JSON.
func (r *Report) Write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644) //nolint:gosec // a report for everybody
}
