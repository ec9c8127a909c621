package query

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zone names must be known where the system has no zone files
	"unicode/utf8"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/services/query/history"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// rangeParameters are the parameters that give the range of a read.
var rangeParameters = []string{"time_range", "start", "end"}

// with returns the parameters of a read that has a range and others.
func with(names ...string) []string { return slices.Concat(rangeParameters, names) }

// params reads query parameters. The first error stays in err, and every later
// parameter then reads as absent, so that a Decode checks once.
type params struct {
	q   url.Values
	err error
}

// open starts reading a request's parameters and its range.
func (s *Service) open(r *http.Request) (*params, history.Range) {
	p := &params{q: r.URL.Query()}
	rng, err := parseRange(p.q, s.clock(), s.aggregateRetention())
	p.err = err
	return p, rng
}

func (p *params) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *params) given(name string) bool { return p.err == nil && p.q.Has(name) }

// text returns a parameter of 1 to most characters, "" when it is absent.
func (p *params) text(name string, most int) string {
	if !p.given(name) {
		return ""
	}
	v := p.q.Get(name)
	switch {
	case v == "":
		p.fail(fault.Refuse(name, "empty", "%s must not be empty", name))
	case !utf8.ValidString(v) || strings.ContainsRune(v, 0):
		p.fail(fault.Refuse(name, "text", "%s must be text in UTF-8 without NUL", name))
	case utf8.RuneCountInString(v) > most:
		p.fail(fault.Refuse(name, "too_long", "%s must not be longer than %d characters", name, most))
	default:
		return v
	}
	return ""
}

// required is text that must be there.
func (p *params) required(name string, most int) string {
	if p.err == nil && !p.q.Has(name) {
		p.fail(fault.Refuse(name, "required", "%s is required", name))
	}
	return p.text(name, most)
}

func (p *params) boolean(name string) bool {
	if !p.given(name) {
		return false
	}
	switch p.q.Get(name) {
	case "true":
		return true
	case "false":
		return false
	}
	p.fail(fault.Refuse(name, "boolean", "%s must be true or false", name))
	return false
}

func (p *params) limit(standard int) int {
	if !p.given("limit") {
		return standard
	}
	n, err := strconv.Atoi(p.q.Get("limit"))
	if err != nil || n < 1 || n > 1000 {
		p.fail(fault.Refuse("limit", "1_to_1000", "limit must be a number from 1 to 1000"))
		return standard
	}
	return n
}

// choice returns a parameter that must be one of a few values, or standard.
func choice[T ~string](p *params, name string, standard T, allowed ...T) T {
	if !p.given(name) {
		return standard
	}
	v := T(p.q.Get(name))
	if !slices.Contains(allowed, v) {
		names := make([]string, len(allowed))
		for i, a := range allowed {
			names[i] = string(a)
		}
		p.fail(fault.Refuse(name, "unknown", "%s must be one of %s", name, strings.Join(names, ", ")))
		return standard
	}
	return v
}

// zone returns the location of time_zone, UTC when it is absent.
func (p *params) zone() *time.Location {
	name := p.text("time_zone", 64)
	if name == "" {
		return time.UTC
	}
	if loc := parseOffset(name); loc != nil {
		return loc
	}
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" { // Local is the zone of the server, which callers do not know
		p.fail(fault.Refuse("time_zone", "zone",
			"time_zone must be an IANA name, such as Europe/Berlin, or an offset from UTC, such as +05:30 or UTC+3"))
		return time.UTC
	}
	return loc
}

// offsetPattern matches offsets from UTC: 3, 03, 5:30, 05:30, 0530. A "+" that is
// not escaped in a query arrives as a blank.
var offsetPattern = regexp.MustCompile(`^(?:UTC|GMT)?([+\- ])(\d{1,2})(?::(\d{2}))?$|^(?:UTC|GMT)?([+\- ])(\d{2})(\d{2})$`)

// widestOffset is that of the zones furthest from UTC: there are -12:00 to +14:00.
const widestOffset = 14 * time.Hour

// parseOffset returns the zone of an offset from UTC, nil when name is none.
func parseOffset(name string) *time.Location {
	m := offsetPattern.FindStringSubmatch(name)
	if m == nil {
		return nil
	}
	if m[4] != "" { // the form without a colon
		m = m[3:]
	}
	// The pattern leaves digits only; no minutes read as 0.
	hours, _ := strconv.Atoi(m[2])
	minutes, _ := strconv.Atoi(m[3])
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if minutes > 59 || offset > widestOffset {
		return nil
	}
	if m[1] == "-" {
		offset = -offset
	}
	return time.FixedZone(strings.ReplaceAll(name, " ", "+"), int(offset/time.Second))
}

func (p *params) app() string { return p.text("app", 100) }

// requestFilter reads the parameters that narrow requests.
func (p *params) requestFilter() snapshot.Filter {
	return snapshot.Filter{App: p.app(), Endpoint: p.text("endpoint", 500), Method: p.text("method", 16)}
}

// eventFilter reads the parameters that narrow usage events.
func (p *params) eventFilter() snapshot.Filter {
	return snapshot.Filter{App: p.app(), EventType: p.text("event_type", 100)}
}

// interval reads interval and time_zone, "" when the caller leaves it to us.
func (p *params) interval(rng history.Range) (api.Interval, *time.Location) {
	iv := choice(p, "interval", "", api.Interval5Min, api.IntervalHourly, api.IntervalDaily)
	if iv == api.Interval5Min && rng.Length() > history.Day {
		p.fail(fault.Refuse("interval", "too_fine", "interval must be hourly or daily for a range of more than 24 hours"))
	}
	return iv, p.zone()
}
