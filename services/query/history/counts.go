package history

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/stats"
)

// maxCounted bounds how many different values of a column are held in memory.
const maxCounted = 100_000

// overflow is the entry under which aggregates count what an hour had too many
// different values to keep.
const overflow = "(other)"

// counts are numbers of events by name.
type counts struct {
	byName   map[string]int64
	byNumber map[uint32]int64 // of names that are not resolved yet
	other    int64            // events whose name was not kept
}

func newCounts() counts { return counts{byName: map[string]int64{}} }

// add counts n events of a name; nil is a name that was not kept.
func (c *counts) add(name *string, n int64) {
	switch {
	case name == nil || *name == overflow:
		c.other += n
	default:
		c.byName[*name] += n
	}
}

// addNumbered adds a stored distribution whose items are numbers of names.
func (c *counts) addNumbered(data []byte) error {
	return stats.EachCount(data, func(item uint32, n uint64) {
		if c.byNumber == nil {
			c.byNumber = map[uint32]int64{}
		}
		c.byNumber[item] += int64(n) // counts stay below 2^63
	})
}

// addCodes adds a stored distribution whose items are codes.
func (c *counts) addCodes(data []byte) error {
	return stats.EachCount(data, func(item uint32, n uint64) {
		code := strconv.FormatUint(uint64(item), 10)
		c.add(&code, int64(n)) // as above
	})
}

// resolve replaces numbers by the names they stand for.
func (c *counts) resolve(ctx context.Context, tx pgx.Tx) error {
	if len(c.byNumber) == 0 {
		return nil
	}
	names, err := metricsdb.ReadNames(ctx, tx, slices.Collect(maps.Keys(c.byNumber)))
	if err != nil {
		return err
	}
	for number, n := range c.byNumber {
		if name, known := names[number]; known {
			c.add(&name, n)
		} else {
			c.add(nil, n)
		}
	}
	c.byNumber = nil
	return nil
}

// List returns the most frequent entries, at most so many, and how much of all that is.
func (c *counts) List(most int) (map[string]int64, api.ListBounds) {
	bounds := api.ListBounds{Distinct: int64(len(c.byName)), Other: c.other}
	list := keepMostFrequent(c.byName, most)
	bounds.Listed = int64(len(list))
	return list, bounds
}

// keepMostFrequent deletes all but the n most frequent entries.
func keepMostFrequent(counts map[string]int64, n int) map[string]int64 {
	if len(counts) <= n {
		return counts
	}
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for _, name := range names[n:] {
		delete(counts, name)
	}
	return counts
}
