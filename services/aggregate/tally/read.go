package tally

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/pgbinary"
	"github.com/lakepulse/lakepulse/pkg/stats"
)

// ErrBadRow is a raw row that cannot be aggregated: a fault of the hour's content.
var ErrBadRow = errors.New("a raw row cannot be aggregated")

// ErrTooLarge says that there are more rows or keys than the limits.
var ErrTooLarge = errors.New("more than is held at once")

// Limits are the most rows and keys that are held at once.
type Limits struct{ Rows, Keys int }

// RowsSQL returns the columns of a kind's raw rows as Read takes them, and their
// table; a condition follows.
func RowsSQL(kind event.Kind) string {
	if kind == event.KindUsage {
		return `
SELECT app, event_type, app_version, user_id, success, page_name, element_id, uuid_hash_extended(id, 0), "timestamp"
  FROM usage_events`
	}
	return `
SELECT app, endpoint, method, app_version, status_code, response_time_ms, user_id, error_type, uuid_hash_extended(id, 0), "timestamp"
  FROM performance_metrics`
}

// KeyOrder is the order in which rows of one key follow each other.
func KeyOrder(kind event.Kind) string {
	if kind == event.KindUsage {
		return ` ORDER BY app COLLATE "C", event_type COLLATE "C", app_version COLLATE "C"`
	}
	return ` ORDER BY app COLLATE "C", endpoint COLLATE "C", method COLLATE "C", app_version COLLATE "C"`
}

// Parts are the tallies of some hours' parts.
type Parts struct {
	kind  event.Kind
	parts map[int64]*Tally // by the quarter of an hour, counted since 2000: several may lead to one part
	rows  int
	keys  int
	at    int64
	now   *Tally
	last  *Sum
}

// quarterMicros is a quarter of an hour in Postgres' microseconds.
const quarterMicros = int64(15 * time.Minute / time.Microsecond)

// NewParts returns empty tallies for the parts of hours.
func NewParts(kind event.Kind, hours []time.Time, users, names *Dictionary) *Parts {
	p := &Parts{kind: kind, parts: map[int64]*Tally{}, at: -1}
	for _, hour := range hours {
		var t *Tally
		starts := metricsdb.Parts(hour)
		for quarter := range 4 {
			at := hour.Add(time.Duration(quarter) * 15 * time.Minute)
			if len(starts) > 0 && !at.Before(starts[0]) {
				t, starts = New(kind, users, names), starts[1:]
			}
			p.parts[pgbinary.Micros(at)/quarterMicros] = t
		}
	}
	return p
}

// Part returns the tally of the part that starts at a moment.
func (p *Parts) Part(start time.Time) *Tally { return p.parts[pgbinary.Micros(start)/quarterMicros] }

// Hour returns the rows of an hour and their checksum.
func (p *Parts) Hour(hour time.Time) (rows int64, checksum Checksum) {
	for _, start := range metricsdb.Parts(hour) {
		t := p.Part(start)
		rows += t.Rows
		checksum.Merge(t.Checksum)
	}
	return rows, checksum
}

// Read adds the rows of a query, each to its part; rows of other hours it skips. It
// takes the values where they lie in the connection's buffer: an hour has many, and
// few texts among them are new.
func (p *Parts) Read(rows pgx.Rows, limits Limits) error {
	defer rows.Close()
	add := (*Tally).addRequest
	if p.kind == event.KindUsage {
		add = (*Tally).addEvent
	}
	for rows.Next() {
		v := rows.RawValues()
		at := int64(binary.BigEndian.Uint64(v[len(v)-1])) // two's complement is the encoding
		if quarter := at / quarterMicros; quarter != p.at {
			p.at, p.now = quarter, p.parts[quarter]
		}
		if p.now == nil {
			continue
		}
		before := len(p.now.keys)
		s, err := add(p.now, v)
		if err != nil {
			return err
		}
		p.last = s
		p.now.count(s, v[len(v)-2], at)
		p.rows++
		p.keys += len(p.now.keys) - before
		if p.rows > limits.Rows || p.keys > limits.Keys {
			return ErrTooLarge
		}
	}
	return rows.Err()
}

func (t *Tally) addRequest(v [][]byte) (*Sum, error) {
	s := t.key(v[0], v[1], v[2], v[3])
	status := int16(binary.BigEndian.Uint16(v[4])) // two's complement is the encoding
	ms := math.Float64frombits(binary.BigEndian.Uint64(v[5]))
	if math.IsNaN(ms) || math.IsInf(ms, 0) {
		return nil, fmt.Errorf("%w: %s %s of %s: a response time is not a finite number", ErrBadRow, s.Key.Method, s.Key.Path, s.Key.App)
	}
	s.extremes(ms, ms)
	s.sum += ms
	s.addTimes(stats.Bucket(ms), 1, s.least, s.most)
	s.distributions[statusCodes].add(uint32(max(0, status)), 1)
	if status >= 400 {
		s.errors++
		s.distributions[errorTypes].add(uint32(t.names.Index(v[7])), 1) // positive
	}
	if v[6] == nil {
		s.anonymous++
	} else {
		s.users.add(t.users.Index(v[6]))
	}
	return s, nil
}

func (t *Tally) addEvent(v [][]byte) (*Sum, error) {
	s := t.key(v[0], v[1], nil, v[2])
	s.users.add(t.users.Index(v[3]))
	if v[4] != nil {
		if v[4][0] != 0 {
			s.successes++
		} else {
			s.failures++
		}
	}
	if v[5] != nil {
		s.distributions[pages].add(uint32(t.names.Index(v[5])), 1) // positive
	}
	if v[6] != nil {
		s.distributions[elements].add(uint32(t.names.Index(v[6])), 1) // positive
	}
	return s, nil
}

// count counts a row of either kind.
func (t *Tally) count(s *Sum, hash []byte, at int64) {
	h := int64(binary.BigEndian.Uint64(hash)) // two's complement is the encoding
	s.n++
	t.Rows++
	t.Checksum.add(h)
	t.seen(s, at)
}

// Finished takes out the keys that no further row can belong to when rows come in
// the order of keys: all but that of the last row, or all when there are no more.
// Rows counts how many were read.
func (p *Parts) Finished(hour time.Time, more bool) map[time.Time][]*Sum {
	out := map[time.Time][]*Sum{}
	for _, start := range metricsdb.Parts(hour) {
		t := p.Part(start)
		for key, s := range t.keys {
			if more && p.last != nil && s.Key == p.last.Key {
				continue
			}
			out[start] = append(out[start], s)
			delete(t.keys, key)
		}
	}
	return out
}

// Rows returns how many rows were read.
func (p *Parts) Rows() int { return p.rows }
