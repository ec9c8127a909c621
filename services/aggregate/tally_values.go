package aggregate

import (
	"encoding/json"
	"strconv"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// appendValues appends aggregated_values of a sum, as JSON. Percentiles are
// there only where they are exact: for an hour's key. It is written by hand
// because a run writes one for each key of each hour, and a map with its
// reflection took longer than counting the key's rows.
func (t *tally) appendValues(dst []byte, s *sum, users int) []byte {
	o := object{append(dst, '{')}
	if t.kind == event.KindPerformance {
		o.number("avg_response_time_ms", s.msSum/float64(s.n))
		o.number("min_response_time_ms", s.msMin)
		o.number("max_response_time_ms", s.msMax)
		o.count("total_requests", s.n)
		o.count("error_count", s.errors)
		o.number("error_rate", float64(s.errors)/float64(s.n))
		if s.hasPercentile {
			o.number("p50_response_time_ms", s.percentile[0])
			o.number("p95_response_time_ms", s.percentile[1])
			o.number("p99_response_time_ms", s.percentile[2])
		}
	} else {
		o.count("total_events", s.n)
		o.count("unique_users", int64(users))
		o.count("success_count", s.successes)
		o.count("failure_count", s.failures)
		o.name("success_rate")
		if told := s.successes + s.failures; told > 0 {
			o.b = strconv.AppendFloat(o.b, float64(s.successes)/float64(told), 'f', -1, 64)
		} else {
			o.b = append(o.b, "null"...)
		}
	}
	for _, d := range keptOf(t.kind, s.total) {
		o.distribution(distributionNames[d], &s.distributions[d])
	}
	return append(o.b, '}')
}

// keptOf lists the distributions that are stored of a key, or of an app.
func keptOf(kind event.Kind, total bool) []int {
	switch {
	case kind == event.KindPerformance && total:
		return []int{statusCodes}
	case kind == event.KindPerformance:
		return []int{statusCodes, errorTypes}
	case total:
		return []int{eventTypes, pageViews}
	}
	return []int{pages, elements}
}

// object is a JSON object that is being written.
type object struct{ b []byte }

func (o *object) name(name string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(appendText(o.b, name), ':')
}

func (o *object) number(name string, v float64) {
	o.name(name)
	o.b = strconv.AppendFloat(o.b, v, 'f', -1, 64)
}

func (o *object) count(name string, n int64) {
	o.name(name)
	o.b = strconv.AppendInt(o.b, n, 10)
}

func (o *object) distribution(name string, c *counts) {
	o.name(name)
	items := object{append(o.b, '{')}
	for item, n := range c.top() {
		items.count(item, n)
	}
	items.b = append(items.b, '}')
	o.b = items.b
}

// appendText appends a JSON string.
func appendText(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, err := json.Marshal(s)
			if err != nil { // it knows no string that it cannot quote
				panic(err)
			}
			return append(dst, quoted...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}
