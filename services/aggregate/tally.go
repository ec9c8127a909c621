package aggregate

import (
	"cmp"
	"maps"
	"math/big"
	"slices"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/stats"
)

// tally gathers rows, or hours, of one kind into what is kept of them: one sum
// per key and one per app. Its bounds say what memory it may take; what is
// beyond them is done in the order of the keys, one key at a time.
type tally struct {
	kind     event.Kind
	keys     map[string]*sum
	apps     map[string]*sum
	versions map[string]*version
	last     *sum // of the last row read
	users    *userIndex
	rows     int64
	checksum checksum
	scratch  []byte
	shared   stats.Histogram // see finish
}

func newTally(kind event.Kind, users *userIndex) *tally {
	return &tally{kind: kind, keys: map[string]*sum{}, apps: map[string]*sum{}, versions: map[string]*version{}, users: users}
}

// sum is what rows of one key, or of one app, add up to.
type sum struct {
	app, path, method, eventType string

	n                    int64
	checksum             checksum
	errors, anonymous    int64
	successes, failures  int64
	msSum, msMin, msMax  float64
	values               []float64        // every response time, while they are few enough
	histogram            *stats.Histogram // of those that are not in values
	encoded              []byte           // of a histogram that is let go of
	users                stats.Users
	distributions        [distributions]counts
	version              *version // of the last row: most rows have the same
	percentile           [3]float64
	hasPercentile, total bool
}

// The distributions of aggregated_values. Not every sum has each.
const (
	statusCodes = iota
	errorTypes
	pages
	elements
	eventTypes
	pageViews
	distributions
)

var distributionNames = [distributions]string{"status_code_distribution", "error_type_distribution", "event_count_by_page",
	"event_count_by_element", "event_count_by_type", "page_views"}

// key returns the sum of a key, made if it is new. The parts are borrowed.
func (t *tally) key(app, first, second []byte) *sum {
	t.scratch = append(append(append(append(append(t.scratch[:0], app...), 0), first...), 0), second...)
	if s := t.keys[string(t.scratch)]; s != nil {
		return s
	}
	s := &sum{app: string(app)}
	if t.kind == event.KindPerformance {
		s.path, s.method = string(first), string(second)
	} else {
		s.eventType = string(first)
	}
	t.keys[string(t.scratch)] = s
	return s
}

// app returns the sum of an app.
func (t *tally) app(name string) *sum {
	s := t.apps[name]
	if s == nil {
		s = &sum{app: name, histogram: new(stats.Histogram), total: true}
		t.apps[name] = s
	}
	return s
}

// fold adds a key's sum to its app's.
func (t *tally) fold(s *sum) {
	a := t.app(s.app)
	a.add(s)
	if t.kind == event.KindUsage {
		a.distributions[eventTypes].add(s.eventType, s.n)
		if s.eventType == event.TypePageView {
			a.distributions[pageViews].merge(&s.distributions[pages])
		}
	} else {
		a.distributions[statusCodes].merge(&s.distributions[statusCodes])
	}
}

// add takes in another sum, its distributions apart.
func (s *sum) add(o *sum) {
	if s.n == 0 {
		s.msMin, s.msMax = o.msMin, o.msMax
	}
	s.n += o.n
	s.checksum.merge(&o.checksum)
	s.errors, s.anonymous = s.errors+o.errors, s.anonymous+o.anonymous
	s.successes, s.failures = s.successes+o.successes, s.failures+o.failures
	s.msSum, s.msMin, s.msMax = s.msSum+o.msSum, min(s.msMin, o.msMin), max(s.msMax, o.msMax)
	s.users.Merge(&o.users)
	if o.histogram != nil {
		s.histogram.Merge(o.histogram)
	}
}

// absorb takes in a sum as it is stored: its histogram encoded, its
// distributions cut to what is kept of them.
func (s *sum) absorb(o *sum) error {
	if s.histogram == nil {
		s.histogram = new(stats.Histogram)
	}
	s.add(o)
	for d := range o.distributions {
		for name, n := range o.distributions[d].top() {
			s.distributions[d].add(name, n)
		}
	}
	if o.histogram != nil { // add has merged it
		return nil
	}
	return s.histogram.AddEncoded(o.encoded, o.msMin, o.msMax)
}

// finish settles a key to which no row will be added, adds it to its app, and
// keeps of its histogram what is stored: histograms are large, so all keys share
// one after the other the same.
func (t *tally) finish(s *sum) {
	if len(s.values) > 0 {
		t.shared.Reset()
		s.histogram = &t.shared
		s.settle()
	}
	t.fold(s)
	if s.histogram != nil {
		s.encoded, s.histogram = s.histogram.Append(nil), nil
	}
}

// settle adds the values to the histogram, finds their exact percentiles, and
// lets go of them.
func (s *sum) settle() {
	for _, v := range s.values {
		s.histogram.Add(v)
	}
	slices.Sort(s.values)
	for i, q := range quantiles {
		s.percentile[i] = interpolate(s.values, q)
	}
	s.hasPercentile, s.values = true, nil
}

var quantiles = [3]float64{0.5, 0.95, 0.99}

// interpolate is Postgres' percentile_cont.
func interpolate(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// counts is a distribution: how often each name came. It has room for so many
// names; those that come after are counted together, as otherItem.
type counts struct {
	m     map[string]int64
	other int64
}

const (
	// maxNames bounds the memory of a distribution, maxItems what is kept of it:
	// the most frequent. Names come from outside.
	maxNames  = 20_000
	maxItems  = 1000
	otherItem = "(other)"
)

func (c *counts) add(name string, n int64) {
	if c.m == nil {
		c.m = map[string]int64{}
	}
	if _, known := c.m[name]; !known && len(c.m) >= maxNames {
		c.other += n
		return
	}
	c.m[name] += n
}

// addOne is add of one, without making a string of a name that is known.
func (c *counts) addOne(name []byte) {
	if have, known := c.m[string(name)]; known {
		c.m[string(name)] = have + 1
		return
	}
	c.add(string(name), 1)
}

func (c *counts) merge(o *counts) {
	for name, n := range o.m {
		c.add(name, n)
	}
	c.other += o.other
}

// top is the distribution as it is kept.
func (c *counts) top() map[string]int64 {
	if len(c.m) <= maxItems && c.other == 0 {
		return c.m
	}
	names := slices.SortedFunc(maps.Keys(c.m), func(a, b string) int {
		return cmp.Or(cmp.Compare(c.m[b], c.m[a]), cmp.Compare(a, b))
	})
	kept, rest := make(map[string]int64, maxItems+1), c.other
	for i, name := range names {
		if i < maxItems && name != otherItem {
			kept[name] = c.m[name]
		} else {
			rest += c.m[name]
		}
	}
	if rest > 0 {
		kept[otherItem] = rest
	}
	return kept
}

// checksum is a sum of 64-bit hashes that does not overflow: its halves are
// summed apart, and merged sums are kept beside them.
type checksum struct {
	high, low int64
	rest      *big.Int
}

func (c *checksum) add(hash int64) {
	c.high += hash >> 32
	c.low += hash & (1<<32 - 1)
}

func (c *checksum) merge(o *checksum) {
	c.high, c.low = c.high+o.high, c.low+o.low
	if o.rest != nil {
		c.addBig(o.rest)
	}
}

func (c *checksum) addBig(n *big.Int) {
	if c.rest == nil {
		c.rest = new(big.Int)
	}
	c.rest.Add(c.rest, n)
}

func (c *checksum) big() *big.Int {
	n := big.NewInt(c.high)
	n.Lsh(n, 32).Add(n, big.NewInt(c.low))
	if c.rest != nil {
		n.Add(n, c.rest)
	}
	return n
}

// version is a version of an app and when it was first seen, in Postgres'
// microseconds.
type version struct {
	app, version string
	first        int64
}

func (t *tally) seen(s *sum, name []byte, at int64) {
	if name == nil {
		return
	}
	if s.version == nil || s.version.version != string(name) {
		t.scratch = append(append(append(t.scratch[:0], s.app...), 0), name...)
		v := t.versions[string(t.scratch)]
		if v == nil {
			v = &version{app: s.app, version: string(name), first: at}
			t.versions[string(t.scratch)] = v
		}
		s.version = v
	}
	s.version.first = min(s.version.first, at)
}
