package tally

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/pgbinary"
)

// Tally is what rows of one kind and stretch of time add up to.
type Tally struct {
	Kind     event.Kind
	Rows     int64
	Checksum Checksum

	keys     map[string]*Sum
	apps     map[string]*Sum
	versions map[string]*version
	users    *Dictionary
	names    *Dictionary
	scratch  []byte
	written  map[string]int // pages of each app
}

// New returns an empty tally.
func New(kind event.Kind, users, names *Dictionary) *Tally {
	return &Tally{Kind: kind, keys: map[string]*Sum{}, apps: map[string]*Sum{}, versions: map[string]*version{}, users: users, names: names,
		written: map[string]int{}}
}

// Keys returns how many keys the tally holds.
func (t *Tally) Keys() int { return len(t.keys) }

// key returns the sum of a key, made if it is new. The parts are borrowed.
func (t *Tally) key(app, first, second, version []byte) *Sum {
	b := append(append(t.scratch[:0], app...), 0)
	b = append(append(b, first...), 0)
	b = append(append(b, second...), 0)
	t.scratch = append(b, version...)
	if s := t.keys[string(t.scratch)]; s != nil {
		return s
	}
	s := &Sum{Key: metricsdb.Key{Kind: t.Kind, App: string(app), Version: string(version)}}
	if t.Kind == event.KindPerformance {
		s.Key.Path, s.Key.Method = string(first), string(second)
	} else {
		s.Key.EventType = string(first)
	}
	t.keys[string(t.scratch)] = s
	return s
}

func (t *Tally) app(name string) *Sum {
	s := t.apps[name]
	if s == nil {
		s = &Sum{Key: metricsdb.Key{Kind: t.Kind, App: name}, total: true}
		t.apps[name] = s
	}
	return s
}

// SumApps adds the keys to their apps. Call it once a key is complete: before
// Encode, or on what Finished returns.
func (t *Tally) SumApps(sums []*Sum) {
	for _, s := range sums {
		t.app(s.Key.App).addKey(t.Kind, s, t.names)
	}
}

// Sums returns the keys' sums.
func (t *Tally) Sums() []*Sum {
	out := make([]*Sum, 0, len(t.keys))
	for _, s := range t.keys {
		out = append(out, s)
	}
	return out
}

// AddAll adds a tally of the same kind that is complete: what its rows would add.
func (t *Tally) AddAll(o *Tally) {
	for key, s := range o.keys {
		if t.keys[key] == nil {
			t.keys[key] = &Sum{Key: s.Key, number: s.number}
		}
		t.keys[key].add(s)
	}
	for name, s := range o.apps {
		t.app(name).add(s)
	}
	t.Rows += o.Rows
}

// AddKey adds a key's sum as it is stored.
func (t *Tally) AddKey(app string, a *metricsdb.Aggregate) error {
	t.scratch = pgbinary.AppendInt8(t.scratch[:0], int64(a.Key))
	s := t.keys[string(t.scratch)]
	if s == nil {
		s = &Sum{Key: metricsdb.Key{Kind: t.Kind, App: app}, number: a.Key}
		t.keys[string(t.scratch)] = s
	}
	t.Rows += a.Samples
	return s.decode(a)
}

// AddApp adds an app's sum as it is stored.
func (t *Tally) AddApp(app string, a *metricsdb.Aggregate) error { return t.app(app).decode(a) }

// Resolve gives users and names the database's numbers. Call it before Encode.
func Resolve(ctx context.Context, tx pgx.Tx, users, names *Dictionary) error {
	if err := users.Resolve(ctx, tx, metricsdb.NumberUsers); err != nil {
		return err
	}
	return names.Resolve(ctx, tx, metricsdb.NumberNames)
}

// EncodeKeys adds keys to pages. The keys' numbers are known.
func (t *Tally) EncodeKeys(to *metricsdb.Pages, startsAt time.Time, sums []*Sum) {
	byApp := map[string][]metricsdb.Aggregate{}
	for _, s := range sums {
		byApp[s.Key.App] = append(byApp[s.Key.App], s.encode(t.users, t.names))
	}
	for app, list := range byApp {
		to.Add(t.Kind, startsAt, app, t.written[app], list)
		t.written[app] += (len(list) + metricsdb.PageKeys - 1) / metricsdb.PageKeys
	}
}

// EncodeTotals adds the apps to totals.
func (t *Tally) EncodeTotals(to *metricsdb.Totals, r metricsdb.Resolution, startsAt time.Time) {
	for name, s := range t.apps {
		to.Add(r, t.Kind, startsAt, name, s.encode(t.users, t.names))
	}
}

// version is a version of an app and when it was first seen, in Postgres'
// microseconds.
type version struct {
	app, version string
	first        int64
}

func (t *Tally) seen(s *Sum, at int64) {
	name := s.Key.Version
	if name == "" {
		return
	}
	if s.version == nil {
		t.scratch = append(append(append(t.scratch[:0], s.Key.App...), 0), name...)
		v := t.versions[string(t.scratch)]
		if v == nil {
			v = &version{app: s.Key.App, version: name, first: at}
			t.versions[string(t.scratch)] = v
		}
		s.version = v
	}
	s.version.first = min(s.version.first, at)
}

// Versions returns the versions of apps and when each was first seen.
func (t *Tally) Versions() (apps, versions []string, first []time.Time) {
	for _, v := range t.versions {
		apps, versions, first = append(apps, v.app), append(versions, v.version), append(first, pgbinary.Time(v.first))
	}
	return apps, versions, first
}
