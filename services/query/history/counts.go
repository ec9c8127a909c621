package history

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/lakepulse/lakepulse/api"
)

// maxCounted bounds how many different values of a column are held in memory.
const maxCounted = 100_000

// overflow is the entry under which aggregates count what an hour had too many
// different values to keep.
const overflow = "(other)"

// counts are numbers of events by name.
type counts struct {
	byName map[string]int64
	other  int64 // events whose name was not kept
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

// addJSON adds a JSON object of counts in the form in which Postgres sends jsonb.
func (c *counts) addJSON(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	if data[0] == 1 { // binary jsonb begins with its version
		data = data[1:]
	}
	var part map[string]int64
	if err := json.Unmarshal(data, &part); err != nil {
		return fmt.Errorf("decode counts by name: %w", err)
	}
	for name, n := range part {
		c.add(&name, n)
	}
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
