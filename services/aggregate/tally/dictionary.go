package tally

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Cache holds numbers that the database has committed. A run keeps it from one
// transaction to the next and no longer: names of users can change.
type Cache map[string]int32

const maxCached = 100_000

// Dictionary numbers texts as they come, from 1, until the database has given
// them their numbers.
type Dictionary struct {
	local   map[string]int32
	texts   []string
	numbers []int32 // of the first of texts; the rest is not resolved yet
	cache   Cache
	// final: the numbers in sums are the database's already.
	final bool
}

// NewDictionary returns an empty dictionary over a cache.
func NewDictionary(cache Cache) *Dictionary {
	return &Dictionary{local: map[string]int32{}, cache: cache}
}

// FinalNumbers returns a dictionary for sums whose numbers are the database's.
func FinalNumbers() *Dictionary { return &Dictionary{final: true} }

// Index returns the local number of a text, which is borrowed.
func (d *Dictionary) Index(text []byte) int32 {
	if i, known := d.local[string(text)]; known {
		return i
	}
	name := string(text)
	d.texts = append(d.texts, name)
	i := int32(len(d.texts)) // bounded by what an hour can hold in memory
	d.local[name] = i
	return i
}

// Resolve has number give database numbers to the texts that came since the last call.
func (d *Dictionary) Resolve(ctx context.Context, tx pgx.Tx, number func(context.Context, pgx.Tx, []string) ([]int32, error)) error {
	var unknown []string
	var places []int
	for _, text := range d.texts[len(d.numbers):] {
		n := d.cache[text]
		if n == 0 {
			unknown, places = append(unknown, text), append(places, len(d.numbers))
		}
		d.numbers = append(d.numbers, n)
	}
	numbers, err := number(ctx, tx, unknown)
	if err != nil {
		return err
	}
	for i, n := range numbers {
		d.numbers[places[i]] = n
	}
	return nil
}

// Committed keeps the numbers for later transactions. Call it after the commit.
func (d *Dictionary) Committed() {
	if len(d.cache)+len(d.texts) > maxCached {
		clear(d.cache)
	}
	for i, text := range d.texts[:min(len(d.texts), len(d.numbers), maxCached)] {
		d.cache[text] = d.numbers[i]
	}
}

// number returns the database's number for one in a sum; 0 stays 0.
func (d *Dictionary) number(n int32) int32 {
	if d.final || n == 0 {
		return n
	}
	return d.numbers[n-1]
}
