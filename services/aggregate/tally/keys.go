package tally

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
)

// KeyCache holds numbers of keys that the database has committed.
type KeyCache map[metricsdb.Key]int32

// Numbered are the keys that a transaction has numbered.
type Numbered struct {
	cache KeyCache
	fresh map[metricsdb.Key]int32
}

// NewNumbered returns the numbers of a transaction over a cache.
func NewNumbered(cache KeyCache) *Numbered {
	return &Numbered{cache: cache, fresh: map[metricsdb.Key]int32{}}
}

// Number gives the sums' keys their numbers.
func (k *Numbered) Number(ctx context.Context, tx pgx.Tx, kind event.Kind, sums []*Sum) error {
	var unknown []metricsdb.Key
	for _, s := range sums {
		if k.cache[s.Key] == 0 && k.fresh[s.Key] == 0 {
			unknown = append(unknown, s.Key)
			k.fresh[s.Key] = -1 // asked for once
		}
	}
	numbers, err := metricsdb.NumberKeys(ctx, tx, kind, unknown)
	if err != nil {
		return err
	}
	for i, key := range unknown {
		k.fresh[key] = numbers[i]
	}
	for _, s := range sums {
		if s.number = k.cache[s.Key]; s.number == 0 {
			s.number = k.fresh[s.Key]
		}
	}
	return nil
}

// Committed keeps the numbers for later transactions. Call it after the commit.
func (k *Numbered) Committed() {
	if len(k.cache)+len(k.fresh) > maxCached {
		clear(k.cache)
	}
	for key, n := range k.fresh {
		k.cache[key] = n
	}
}
