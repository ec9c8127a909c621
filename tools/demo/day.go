package demo

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// maker makes one day's rows.
type maker struct {
	*world
	r     *rand.Rand
	stop  time.Time
	batch batch
	due   float64          // requests that should be made by now
	seqs  map[string]int64 // per instance
	sums  []float64        // of the users' activity, for drawing one
}

// machines is the share of requests that no person causes.
const machines = 0.15

// day makes the rows from the start of a day to stop.
func (w *world) day(day, stop time.Time, requests int) batch {
	number := uint64(day.Unix() / 86400) // after 1970
	m := &maker{world: w, r: rand.New(rand.NewPCG(w.seed, number)), stop: stop, seqs: map[string]int64{}}
	for i := range w.users {
		sum := w.users[i].activity
		if i > 0 {
			sum += m.sums[i-1]
		}
		m.sums = append(m.sums, sum)
	}
	// The past grows: ninety days ago there was a quarter less.
	growth := 1 - 0.25*w.today.Sub(day).Hours()/24/90
	const slice = 5 * time.Minute
	mean := float64(requests) * max(growth, 0.3) / float64(24*time.Hour/slice) / meanLoad
	for at := day; at.Before(stop); at = at.Add(slice) {
		m.slice(at, slice, mean*load(at.Add(slice/2)))
	}
	slices.SortFunc(m.batch.requests, func(a, b event.Performance) int {
		return cmp.Or(a.Timestamp.Compare(b.Timestamp), slices.Compare(a.ID[:], b.ID[:]))
	})
	slices.SortFunc(m.batch.events, func(a, b event.Usage) int {
		return cmp.Or(a.Timestamp.Compare(b.Timestamp), slices.Compare(a.ID[:], b.ID[:]))
	})
	for i := range m.batch.requests { // in the order of time, as an instance counts
		p := &m.batch.requests[i]
		seq := m.seqs[p.Instance]
		m.seqs[p.Instance]++
		p.Seq = &seq
	}
	return m.batch
}

// meanLoad is the mean of load over a working day.
var meanLoad = func() float64 {
	monday, sum := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), 0.0
	for i := range 288 {
		sum += load(monday.Add(time.Duration(i) * 5 * time.Minute))
	}
	return sum / 288
}()

// slice makes about n requests. Sessions bring more than asked for; later slices
// make up for it.
func (m *maker) slice(at time.Time, length time.Duration, n float64) {
	m.due += n
	for float64(len(m.batch.requests)) < m.due {
		start := at.Add(time.Duration(m.r.Int64N(int64(length))))
		if m.r.Float64() < machines {
			m.machine(start)
		} else {
			m.session(start)
		}
	}
}

// machine makes a request without a person behind it.
func (m *maker) machine(at time.Time) {
	a := m.apps[m.r.IntN(len(m.apps))]
	m.request(a, a.jobs[m.r.IntN(len(a.jobs))], at, "", "", "")
}

// session makes a few minutes of one person: pages, clicks, and the requests
// these cause.
func (m *maker) session(at time.Time) {
	i, _ := slices.BinarySearch(m.sums, m.r.Float64()*m.sums[len(m.sums)-1])
	u := m.users[min(i, len(m.users)-1)]
	a := m.apps[u.app]
	if m.r.IntN(12) == 0 {
		a = m.apps[1-u.app]
	}
	s := &visit{maker: m, app: a, user: u.id, id: newID(m.r, at).String(), at: at}
	for range 1 + m.r.IntN(4) {
		s.page(&a.pages[draw(m.r, a.pages, func(p page) float64 { return p.weight })])
	}
}

// visit is a session under way.
type visit struct {
	*maker
	app  *app
	user string
	id   string
	at   time.Time
	seq  int64
}

func (v *visit) page(p *page) {
	v.happens(event.TypePageView, p.name, "", p.loads)
	for v.r.Float64() < 0.6 {
		a := &p.actions[draw(v.r, p.actions, func(a action) float64 { return a.weight })]
		v.wait(2, 25)
		v.happens(a.event, p.name, a.element, a.calls)
	}
	v.wait(4, 60)
}

// happens makes an event and the requests it causes; it succeeds if they do.
func (v *visit) happens(kind, page, element string, calls []*endpoint) {
	if !v.at.Before(v.stop) {
		return
	}
	id, seq := newID(v.r, v.at), v.seq
	v.seq++
	ok, took := true, v.at.Add(time.Duration(5+v.r.IntN(30))*time.Millisecond)
	for _, e := range calls {
		ms, good := v.request(v.app, e, took, v.user, v.id, id.String())
		ok = ok && good
		if v.r.IntN(3) == 0 { // one after the other, or side by side
			took = took.Add(time.Duration(ms * float64(time.Millisecond)))
		}
	}
	e := event.Usage{
		ID: id, Timestamp: v.at.Truncate(time.Microsecond), App: v.app.name, EventType: kind, UserID: v.user, PageName: page,
		ElementID: element, AppVersion: v.app.version(v.at), SessionID: v.id, InteractionID: id.String(), Seq: &seq,
	}
	if kind != event.TypePageView {
		e.Success = &ok
	}
	e.ReceivedAt = e.Timestamp.Add(time.Duration(1+v.r.IntN(9000)) * time.Millisecond)
	v.batch.events = append(v.batch.events, e)
}

func (v *visit) wait(least, most int) {
	v.at = v.at.Add(time.Duration(least*1000+v.r.IntN((most-least)*1000)) * time.Millisecond)
}

// request makes one request and returns how long it took and whether it went well.
func (m *maker) request(a *app, e *endpoint, at time.Time, user, session, interaction string) (ms float64, ok bool) {
	ms = e.median * math.Exp(m.r.NormFloat64()*e.sigma)
	if m.r.Float64() < e.tail {
		ms *= 4 + m.r.ExpFloat64()*8
	}
	if e.suffers && a == m.apps[0] && !at.Before(m.slow) && at.Before(m.mended) {
		ms *= 3.2
	}
	ms *= 1 + 0.25*load(at) // a busy hour is a slow one
	status, failure := m.outcome(a, e, at, &ms)
	ms = math.Round(min(ms, 30_000)*1000) / 1000
	if !at.Before(m.stop) {
		return ms, status < 400
	}
	p := event.Performance{
		ID: newID(m.r, at), Timestamp: at.Truncate(time.Microsecond), App: a.name, Instance: a.instances[m.r.IntN(len(a.instances))],
		Endpoint: e.path, Method: e.method, StatusCode: status, ResponseTimeMS: ms, UserID: user, ErrorType: failure,
		AppVersion: a.version(at), SessionID: session, InteractionID: interaction,
		TraceID: fmt.Sprintf("%016x%016x", m.r.Uint64(), m.r.Uint64()),
	}
	p.ReceivedAt = p.Timestamp.Add(time.Duration(ms+float64(1+m.r.IntN(2000))) * time.Millisecond)
	m.batch.requests = append(m.batch.requests, p)
	return ms, status < 400
}

// outcome decides how a request ends; what fails at once takes less time, what
// times out thirty seconds.
func (m *maker) outcome(a *app, e *endpoint, at time.Time, ms *float64) (status int, failure string) {
	if a == m.apps[0] && !at.Before(m.outage) && at.Before(m.healed) && m.r.Float64() < 0.62 {
		if m.r.IntN(4) == 0 {
			*ms = 30_000
			return 504, "Timeout"
		}
		*ms = 3 + m.r.Float64()*40
		return 503, "UpstreamUnavailable"
	}
	if *ms >= 30_000 {
		return 504, "Timeout"
	}
	if m.r.Float64() < e.failure {
		*ms *= 0.3
		switch m.r.IntN(10) {
		case 0, 1:
			return 500, "InternalError"
		case 2, 3, 4:
			return 404, "NotFound"
		case 5:
			return 409, "Conflict"
		case 6:
			return 403, "Forbidden"
		default:
			return 400, "ValidationError"
		}
	}
	switch {
	case e.method == "POST" && m.r.IntN(2) == 0:
		return 201, ""
	case e.method == "GET" && m.r.IntN(15) == 0:
		return 304, ""
	}
	return 200, ""
}

// draw returns the index of an item, by weight.
func draw[T any](r *rand.Rand, items []T, weight func(T) float64) int {
	sum := 0.0
	for _, item := range items {
		sum += weight(item)
	}
	x := r.Float64() * sum
	for i, item := range items {
		if x -= weight(item); x < 0 {
			return i
		}
	}
	return len(items) - 1
}
