package tally

import (
	"slices"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/stats"
)

// Sum is what rows of one key, or of one app, add up to.
type Sum struct {
	Key    metricsdb.Key // of an app only its name
	number int32         // of the key, where it is known
	total  bool          // of an app

	n                   int64
	errors, anonymous   int64
	successes, failures int64
	sum, least, most    float64
	buckets             []uint16         // of every response time, while they are few
	histogram           *stats.Histogram // of all of them, once they are many
	users               numberSet
	distributions       [distributions]distribution
	version             *version // of the last row: most rows have the same
}

// The distributions. Not every sum has each.
const (
	statusCodes = iota
	errorTypes
	pages
	elements
	eventTypes
	pageViews
	distributions
)

// fewBuckets is how many response times are kept as a list of buckets.
const fewBuckets = 4096

// addTimes counts n response times of a bucket between two extremes.
func (s *Sum) addTimes(bucket int, n uint64, least, most float64) {
	if s.histogram == nil && uint64(len(s.buckets))+n <= fewBuckets {
		for range n {
			s.buckets = append(s.buckets, uint16(bucket)) // below stats.Buckets
		}
		return
	}
	if s.histogram == nil {
		s.spill()
	}
	s.histogram.AddCount(bucket, n, least, most)
}

// extremes takes in the least and the greatest response time of a part. Call it
// before n grows.
func (s *Sum) extremes(least, most float64) {
	if s.n == 0 {
		s.least, s.most = least, most
		return
	}
	s.least, s.most = min(s.least, least), max(s.most, most)
}

// add takes in another sum.
func (s *Sum) add(o *Sum) {
	s.extremes(o.least, o.most)
	s.n += o.n
	s.errors, s.anonymous = s.errors+o.errors, s.anonymous+o.anonymous
	s.successes, s.failures = s.successes+o.successes, s.failures+o.failures
	s.sum += o.sum
	s.users.merge(&o.users)
	for _, b := range o.buckets {
		s.addTimes(int(b), 1, s.least, s.most)
	}
	if o.histogram != nil {
		if s.histogram == nil {
			s.spill()
		}
		s.histogram.Merge(o.histogram)
	}
	if s.total == o.total {
		for i := range s.distributions {
			s.distributions[i].merge(&o.distributions[i])
		}
	}
}

// spill moves the list of buckets into a histogram.
func (s *Sum) spill() {
	s.histogram = new(stats.Histogram)
	for _, b := range s.buckets {
		s.histogram.AddCount(int(b), 1, s.least, s.most)
	}
	s.buckets = nil
}

// addKey takes a key's sum into that of its app.
func (s *Sum) addKey(kind event.Kind, o *Sum, names *Dictionary) {
	s.add(o)
	if kind == event.KindPerformance {
		s.distributions[statusCodes].merge(&o.distributions[statusCodes])
		return
	}
	s.distributions[eventTypes].add(uint32(names.Index([]byte(o.Key.EventType))), uint64(o.n)) // both positive
	if o.Key.EventType == event.TypePageView {
		s.distributions[pageViews].merge(&o.distributions[pages])
	}
}

// encode returns the sum as it is stored.
func (s *Sum) encode(users, names *Dictionary) metricsdb.Aggregate {
	a := metricsdb.Aggregate{
		Key: s.number, Samples: s.n, Errors: s.errors, Anonymous: s.anonymous, Successes: s.successes, Failures: s.failures,
		Sum: s.sum, Min: s.least, Max: s.most, Users: s.users.encode(users),
		Statuses: s.distributions[statusCodes].encode(nil),
	}
	if s.histogram != nil {
		a.Histogram = s.histogram.Append(nil)
	} else {
		slices.Sort(s.buckets)
		a.Histogram = stats.AppendBuckets(nil, s.buckets)
	}
	if s.total {
		a.EventTypes, a.Pages = s.distributions[eventTypes].encode(names), s.distributions[pageViews].encode(names)
		return a
	}
	a.ErrorTypes = s.distributions[errorTypes].encode(names)
	a.Pages, a.Elements = s.distributions[pages].encode(names), s.distributions[elements].encode(names)
	return a
}

// decode takes in a sum as it is stored; the numbers in it are the database's.
func (s *Sum) decode(a *metricsdb.Aggregate) error {
	s.extremes(a.Min, a.Max)
	s.n += a.Samples
	s.errors, s.anonymous = s.errors+a.Errors, s.anonymous+a.Anonymous
	s.successes, s.failures = s.successes+a.Successes, s.failures+a.Failures
	s.sum += a.Sum
	if err := stats.EachBucket(a.Histogram, func(bucket int, n uint64) { s.addTimes(bucket, n, s.least, s.most) }); err != nil {
		return err
	}
	if err := s.users.addEncoded(a.Users); err != nil {
		return err
	}
	pagesAre := pages
	if s.total {
		pagesAre = pageViews
	}
	for d, data := range map[int][]byte{statusCodes: a.Statuses, errorTypes: a.ErrorTypes, pagesAre: a.Pages, elements: a.Elements, eventTypes: a.EventTypes} {
		if err := stats.EachCount(data, s.distributions[d].add); err != nil {
			return err
		}
	}
	return nil
}
