package aggregate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/pgbinary"
	"github.com/lakepulse/lakepulse/pkg/stats"
)

// badRow is a raw row that cannot be aggregated: a fault of the hour's content.
type badRow struct{ reason string }

func (b badRow) Error() string { return b.reason }

// The raw rows of an hour, as addRequest and addEvent read them.
const (
	readRequests = `
SELECT app, endpoint, method, status_code, response_time_ms, user_id, error_type, app_version, uuid_hash_extended(id, 0), "timestamp"
  FROM performance_metrics WHERE "timestamp" >= $1 AND "timestamp" < $2`

	readEvents = `
SELECT app, event_type, user_id, success, page_name, element_id, app_version, uuid_hash_extended(id, 0), "timestamp"
  FROM usage_events WHERE "timestamp" >= $1 AND "timestamp" < $2`
)

// binaryResults asks for Postgres' binary form of every column.
var binaryResults = pgx.QueryResultFormats{pgx.BinaryFormatCode}

// tallies are those of some hours of one kind, by the hour's number since 2000.
type tallies struct {
	kind  event.Kind
	hours map[int64]*tally
	users *userIndex
	rows  int
	keys  int
	last  *tally
	at    int64
}

// hourMicros is an hour in Postgres' microseconds.
const hourMicros = int64(time.Hour / time.Microsecond)

func newTallies(kind event.Kind, starts []time.Time, users *userIndex) *tallies {
	t := &tallies{kind: kind, hours: make(map[int64]*tally, len(starts)), users: users, at: -1}
	for _, start := range starts {
		t.hours[hourNumber(start)] = newTally(kind, users)
	}
	return t
}

func hourNumber(start time.Time) int64 { return pgbinary.Micros(start) / hourMicros }

// read adds the rows of a query, each to its hour; rows of other hours it skips.
// It takes the values where they lie in the connection's buffer: an hour has
// many, and few texts among them are new. The error is errTooLarge when there
// are more rows or keys than the limits.
func (t *tallies) read(rows pgx.Rows, limits limits) error {
	defer rows.Close()
	add := (*tally).addRequest
	if t.kind == event.KindUsage {
		add = (*tally).addEvent
	}
	for rows.Next() {
		v := rows.RawValues()
		at := int64(binary.BigEndian.Uint64(v[len(v)-1])) // two's complement is the encoding
		if number := at / hourMicros; number != t.at {
			t.at, t.last = number, t.hours[number]
		}
		if t.last == nil {
			continue
		}
		before := len(t.last.keys)
		if err := add(t.last, v); err != nil {
			return err
		}
		t.rows++
		t.keys += len(t.last.keys) - before
		if t.rows > limits.rows || t.keys > limits.keys {
			return errTooLarge
		}
	}
	return rows.Err()
}

func (t *tally) addRequest(v [][]byte) error {
	s := t.key(v[0], v[1], v[2])
	status := int(int16(binary.BigEndian.Uint16(v[3]))) // two's complement is the encoding
	ms := math.Float64frombits(binary.BigEndian.Uint64(v[4]))
	if math.IsNaN(ms) || math.IsInf(ms, 0) {
		return badRow{fmt.Sprintf("%s %s of %s: a response time is not a finite number", s.method, s.path, s.app)}
	}
	if s.n == 0 {
		s.msMin, s.msMax = ms, ms
	}
	s.msSum, s.msMin, s.msMax = s.msSum+ms, min(s.msMin, ms), max(s.msMax, ms)
	if s.histogram != nil {
		s.histogram.Add(ms)
	} else {
		s.values = append(s.values, ms)
	}
	s.distributions[statusCodes].addOne(statusText[max(0, min(status, len(statusText)-1))])
	if status >= 400 {
		s.errors++
		s.distributions[errorTypes].addOne(v[6])
	}
	if v[5] == nil {
		s.anonymous++
	} else {
		s.users.Add(t.users.index(v[5]))
	}
	t.count(s, v[7], v[8], v[9])
	return nil
}

func (t *tally) addEvent(v [][]byte) error {
	s := t.key(v[0], v[1], nil)
	s.users.Add(t.users.index(v[2]))
	if v[3] != nil {
		if v[3][0] != 0 {
			s.successes++
		} else {
			s.failures++
		}
	}
	if v[4] != nil {
		s.distributions[pages].addOne(v[4])
	}
	if v[5] != nil {
		s.distributions[elements].addOne(v[5])
	}
	t.count(s, v[6], v[7], v[8])
	return nil
}

// count is what rows of both kinds have in common.
func (t *tally) count(s *sum, version, hash, at []byte) {
	h := int64(binary.BigEndian.Uint64(hash)) // two's complement is the encoding
	t.last = s
	s.n++
	s.checksum.add(h)
	t.rows++
	t.checksum.add(h)
	t.seen(s, version, int64(binary.BigEndian.Uint64(at))) // as above
}

// statusText are the texts of status codes, made once.
var statusText = func() (texts [1000][]byte) {
	for i := range texts {
		texts[i] = fmt.Append(nil, i)
	}
	return texts
}()

// The bounds of hours whose keys are all held at once.
const (
	maxRowsAtOnce = 1_000_000
	maxKeysAtOnce = 10_000
	fetchRows     = 10_000 // of a larger one
)

// errTooLarge says that hours are done one by one, or an hour key by key.
var errTooLarge = errors.New("more than is held at once")

// limits are the bounds, which tests lower.
type limits struct{ rows, keys, fetch int }

// finished takes out the keys that no further row can belong to when rows come
// in the order of keys: all but the last one read, or all when there are no more.
func (t *tally) finished(more bool) map[string]*sum {
	out := map[string]*sum{}
	for key, s := range t.keys {
		if more && s == t.last {
			continue
		}
		out[key] = s
		delete(t.keys, key)
	}
	return out
}

// spill moves the values into a histogram: there are too many to hold.
func (s *sum) spill() {
	s.histogram = new(stats.Histogram)
	for _, v := range s.values {
		s.histogram.Add(v)
	}
	s.values = nil
}

// literal puts a job's bounds into a query, for a statement that takes no
// parameters.
func literal(sql string, j hoursJob) string {
	quote := func(t time.Time) string { return "'" + t.Format(time.RFC3339) + "'" }
	return strings.NewReplacer("$1", quote(j.starts[0]), "$2", quote(j.end())).Replace(sql)
}
