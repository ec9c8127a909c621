package lakepulse

import (
	"net/http"
	"strconv"
	"time"

	"github.com/lakepulse/lakepulse/clients/go/rules"
)

// record is what the request's path leaves behind: facts, and strings that exist
// already. Names, ids and times are made of it in the lane.
type record struct {
	at          time.Duration // when the request began, since the client's epoch
	took        time.Duration
	bytes       int64
	endpoint    string // the route template, or the path where raw
	method      string
	user        string
	errorType   string
	session     string
	interaction string
	traceparent string
	correlation string
	status      int32
	raw         bool
}

// filler turns records into events. It belongs to one lane's goroutine.
type filler struct {
	cfg   *Config
	names pathNames
	clock *offset
	epoch time.Time
	seq   int64
	seqs  []int64
	lost  int64 // of the lane's overflow, as much as seq has already skipped
}

func newFiller(cfg *Config, clock *offset, epoch time.Time) *filler {
	return &filler{
		cfg: cfg, clock: clock, epoch: epoch, seqs: make([]int64, cfg.BatchSize),
		names: pathNames{limit: cfg.MaxEndpoints, seen: make(map[string]struct{})},
	}
}

// skip leaves gaps in seq for records that were lost before they got one: a gap
// is how ingest's side proves a loss.
func (f *filler) skip(overflow int64) {
	f.seq += overflow - f.lost
	f.lost = overflow
}

// fill appends one event for each record to b, except those that Before leaves
// out (withheld) and those it panics on (broken).
func (f *filler) fill(records []record, b *Batch) (withheld, broken int) {
	ids := newIDs(len(records))
	epoch := f.epochNow()
	for i := range records {
		b.Performance = append(b.Performance, Performance{})
		p := &b.Performance[len(b.Performance)-1]
		f.event(&records[i], epoch, p)
		if f.cfg.Before != nil {
			keep, ok := f.before(p, records[i].bytes)
			if !keep {
				b.Performance = b.Performance[:len(b.Performance)-1]
				if !ok {
					f.seq++
					broken++
				} else {
					withheld++
				}
				continue
			}
			sanitize(p)
		}
		f.seq++
		n := len(b.Performance) - 1
		f.seqs[n] = f.seq
		p.Seq = &f.seqs[n]
		p.ID = ids.next(p.Timestamp)
	}
	return withheld, broken
}

// epochNow returns the moment of the client's epoch as the clocks show it now: the
// local one may have been set since, and ingest's may differ from it.
func (f *filler) epochNow() time.Time {
	now := f.cfg.Clock()
	return now.Round(0).Add(f.clock.now() - now.Sub(f.epoch)) // Round: the wall clock, not the monotonic
}

func (f *filler) event(r *record, epoch time.Time, p *Performance) {
	*p = Performance{
		Timestamp:      epoch.Add(r.at),
		App:            f.cfg.App,
		Instance:       f.cfg.Instance,
		Endpoint:       r.endpoint,
		Method:         r.method,
		StatusCode:     int(r.status),
		ResponseTimeMS: float64(max(r.took, 0).Microseconds()) / 1000,
		UserID:         r.user,
		ErrorType:      r.errorType,
		AppVersion:     f.cfg.AppVersion,
		SessionID:      r.session,
		InteractionID:  r.interaction,
		TraceID:        traceID(r.traceparent),
		CorrelationID:  r.correlation,
	}
	if r.raw {
		p.Endpoint = f.names.name(r.endpoint)
	}
	sanitize(p)
}

// before keeps a panic of the app's hook from ending the app: ours is a goroutine
// nobody else recovers. What the hook meant to remove stays here.
func (f *filler) before(p *Performance, bytes int64) (keep, ok bool) {
	defer func() {
		if v := recover(); v != nil {
			keep, ok = false, false
		}
	}()
	return f.cfg.Before(p, bytes), true
}

// sanitize makes the event one that ingest accepts, whatever the request or Before
// put into it.
func sanitize(p *Performance) {
	p.clean()
	if p.Endpoint == "" {
		p.Endpoint = "/"
	}
	p.Method = rules.Method(p.Method)
	p.StatusCode = min(max(p.StatusCode, 100), 599)
	p.Timestamp = stored(p.Timestamp)
	if p.ErrorType == "" && p.StatusCode >= http.StatusBadRequest {
		p.ErrorType = strconv.Itoa(p.StatusCode)
	}
}

// stored returns a moment as the database keeps it: UTC, in microseconds.
func stored(at time.Time) time.Time { return at.UTC().Truncate(time.Microsecond) }

// traceID returns the trace id of a W3C traceparent, "" for what is none.
func traceID(traceparent string) string {
	if len(traceparent) < 55 || traceparent[2] != '-' || traceparent[35] != '-' {
		return ""
	}
	id := traceparent[3:35]
	zero := true
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
		zero = zero && c == '0'
	}
	if zero {
		return ""
	}
	return id
}
