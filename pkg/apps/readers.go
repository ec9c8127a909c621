package apps

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/lakepulse/lakepulse/pkg/auth"
)

// rightsLast is how long a copy of the readers is believed: a right that is taken
// away ends within this time.
const rightsLast = 5 * time.Second

// Readers answers which apps a caller may read, from a copy of the record that
// lasts [rightsLast]. Safe for concurrent use.
type Readers struct {
	registry *Registry

	mu     sync.Mutex
	read   time.Time
	rights map[Reader][]string // apps, sorted
}

// NewReaders returns the readers of a registry.
func NewReaders(registry *Registry) *Readers { return &Readers{registry: registry} }

// ReadableApps returns the apps whose numbers the caller may read, sorted, none
// for a stranger. An administrator may read all: for them nothing is looked up.
func (r *Readers) ReadableApps(ctx context.Context, caller auth.Caller) ([]string, error) {
	if caller.Kind != auth.KindUser {
		return nil, nil
	}
	rights, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	found := slices.Clone(rights[Reader{ReaderUser, auth.FoldName(caller.UserID)}])
	for _, group := range caller.Groups {
		found = append(found, rights[Reader{ReaderGroup, auth.FoldName(group)}]...)
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

func (r *Readers) current(ctx context.Context) (map[Reader][]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.registry.clock()
	if r.rights != nil && now.Sub(r.read) < rightsLast {
		return r.rights, nil
	}
	rights, err := r.registry.rights(ctx)
	if err != nil {
		return nil, err
	}
	r.rights, r.read = rights, now
	return rights, nil
}

func (r *Registry) rights(ctx context.Context) (map[Reader][]string, error) {
	rows, err := r.pool.Query(ctx, `SELECT app, reader_type, reader FROM app_readers ORDER BY app`)
	if err != nil {
		return nil, failed(err, "read the readers")
	}
	defer rows.Close()
	rights := map[Reader][]string{}
	for rows.Next() {
		var app string
		var reader Reader
		if err := rows.Scan(&app, &reader.Type, &reader.Name); err != nil {
			return nil, failed(err, "read the readers")
		}
		rights[reader] = append(rights[reader], app)
	}
	return rights, failed(rows.Err(), "read the readers")
}
