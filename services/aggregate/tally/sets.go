package tally

import (
	"cmp"
	"slices"

	"github.com/lakepulse/lakepulse/pkg/stats"
)

// numberSet is a set of numbers: most are of a few users.
type numberSet struct {
	few  []int32
	many *stats.Users
}

const fewNumbers = 24

func (s *numberSet) add(n int32) {
	if s.many != nil {
		s.many.Add(n)
		return
	}
	if slices.Contains(s.few, n) {
		return
	}
	if len(s.few) < fewNumbers {
		s.few = append(s.few, n)
		return
	}
	s.many = new(stats.Users)
	s.many.Add(s.few...)
	s.many.Add(n)
	s.few = nil
}

func (s *numberSet) merge(o *numberSet) {
	if o.many != nil {
		if s.many == nil {
			s.many = new(stats.Users)
			s.many.Add(s.few...)
			s.few = nil
		}
		s.many.Merge(o.many)
		return
	}
	for _, n := range o.few {
		s.add(n)
	}
}

func (s *numberSet) addEncoded(data []byte) error {
	if s.many == nil {
		s.many = new(stats.Users)
		s.many.Add(s.few...)
		s.few = nil
	}
	return s.many.AddEncoded(data)
}

// encode returns the stored form, with the database's numbers.
func (s *numberSet) encode(d *Dictionary) []byte {
	list := slices.Clone(s.few)
	if s.many != nil {
		list = s.many.Numbers()
	}
	for i, n := range list {
		list[i] = d.number(n)
	}
	slices.Sort(list)
	return stats.AppendUsers(nil, list)
}

// distribution is how often each item came. It has room for so many items; those
// that come after are counted together, as item 0.
type distribution struct {
	few  []stats.Count
	many map[uint32]uint64
}

const (
	fewItems = 12
	// maxItems bounds the memory of a distribution, keptItems what is stored of it:
	// the most frequent. Names come from outside.
	maxItems  = 20_000
	keptItems = 1000
	otherItem = 0
)

func (d *distribution) add(item uint32, n uint64) {
	if n == 0 {
		return
	}
	if d.many != nil {
		if _, known := d.many[item]; !known && len(d.many) >= maxItems {
			item = otherItem
		}
		d.many[item] += n
		return
	}
	for i := range d.few {
		if d.few[i].Item == item {
			d.few[i].N += n
			return
		}
	}
	if len(d.few) < fewItems {
		d.few = append(d.few, stats.Count{Item: item, N: n})
		return
	}
	d.many = make(map[uint32]uint64, 2*fewItems)
	for _, c := range d.few {
		d.many[c.Item] = c.N
	}
	d.many[item] = n
	d.few = nil
}

func (d *distribution) merge(o *distribution) {
	for _, c := range o.few {
		d.add(c.Item, c.N)
	}
	for item, n := range o.many {
		d.add(item, n)
	}
}

// encode returns the stored form. Items are names of a dictionary, or with nil
// what they are.
func (d *distribution) encode(names *Dictionary) []byte {
	list := slices.Clone(d.few)
	for item, n := range d.many {
		list = append(list, stats.Count{Item: item, N: n})
	}
	if len(list) > keptItems {
		list = cut(list)
	}
	if names != nil {
		for i := range list {
			list[i].Item = uint32(names.number(int32(list[i].Item))) // numbers are positive and below 2^31
		}
	}
	slices.SortFunc(list, func(a, b stats.Count) int { return cmp.Compare(a.Item, b.Item) })
	return stats.AppendCounts(nil, list)
}

// cut keeps the most frequent items and counts the rest together.
func cut(list []stats.Count) []stats.Count {
	slices.SortFunc(list, func(a, b stats.Count) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Item, b.Item)) })
	kept := make([]stats.Count, 0, keptItems+1)
	var rest uint64
	for i, c := range list {
		if i < keptItems && c.Item != otherItem {
			kept = append(kept, c)
		} else {
			rest += c.N
		}
	}
	if rest > 0 {
		kept = append(kept, stats.Count{Item: otherItem, N: rest})
	}
	return kept
}
