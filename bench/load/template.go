package load

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// The population all benchmarks draw from.
const (
	Endpoints = 50
	Users     = 300
)

// Shape is how a contender wants its events.
type Shape int

// The shapes.
const (
	Envelope Shape = iota // {"events":[…]}
	Array                 // […]
)

const (
	timeLayout = "2006-01-02T15:04:05.000000Z"
	noID       = "00000000-0000-7000-8000-000000000000"
)

// Request is a prepared HTTP request over a batch. One goroutine uses it at a time.
type Request struct {
	data   []byte
	ids    []int // where the events' ids are
	times  []int // and their timestamps
	events int
}

// Target is where requests go.
type Target struct {
	Addr    string
	Path    string
	Headers string // further header lines, each with its \r\n
	Shape   Shape
}

// NewRequest prepares a request of n performance events of about 290 bytes.
func NewRequest(t Target, n int, r *rand.Rand) *Request {
	var body bytes.Buffer
	var ids, times []int
	if t.Shape == Envelope {
		body.WriteString(`{"events":[`)
	} else {
		body.WriteString(`[`)
	}
	for i := range n {
		if i > 0 {
			body.WriteByte(',')
		}
		body.WriteString(`{"id":"`)
		ids = append(ids, body.Len())
		body.WriteString(noID)
		body.WriteString(`","timestamp":"`)
		times = append(times, body.Len())
		body.WriteString(timeLayout)
		p := Performance(r)
		fmt.Fprintf(&body, `","app":%q,"instance":%q,"endpoint":%q,"method":%q,"status_code":%d,"response_time_ms":%s,"user_id":%q,"app_version":%q,"seq":%d}`,
			p.App, p.Instance, p.Endpoint, p.Method, p.StatusCode, strconv.FormatFloat(p.ResponseTimeMS, 'f', 3, 64), p.UserID, p.AppVersion, i)
	}
	if t.Shape == Envelope {
		body.WriteString(`]}`)
	} else {
		body.WriteString(`]`)
	}
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n", t.Path, t.Addr, body.Len(), t.Headers)
	for i := range ids {
		ids[i] += len(head)
		times[i] += len(head)
	}
	return &Request{data: append([]byte(head), body.Bytes()...), ids: ids, times: times, events: n}
}

// Performance makes one event of the population, without id and time.
func Performance(r *rand.Rand) event.Performance {
	p := event.Performance{
		App: "bench", Instance: "bench-" + strconv.Itoa(r.IntN(4)), Method: "GET", StatusCode: 200, AppVersion: "1.4",
		Endpoint: Endpoint(r.IntN(Endpoints)), UserID: User(r.IntN(Users)),
		ResponseTimeMS: math.Round(1000*math.Exp(3+1.2*r.NormFloat64())) / 1000,
	}
	if r.IntN(4) == 0 {
		p.Method, p.StatusCode = "POST", 201
	}
	if r.IntN(100) == 0 {
		p.StatusCode = 404
	}
	return p
}

// Endpoint is the i-th route.
func Endpoint(i int) string { return fmt.Sprintf("/api/v1/workspaces/{id}/items-%02d", i) }

// User is the i-th user.
func User(i int) string { return fmt.Sprintf("user%03d@example.com", i) }

// counter makes ids unique within this process; run keeps processes apart.
var (
	counter atomic.Uint64
	run     = rand.Uint64()
)

// NewID returns a UUIDv7 of this run.
func NewID(at time.Time) (id uuid.UUID) {
	ms := uint64(at.UnixMilli()) //nolint:gosec // after 1970
	n := counter.Add(1)
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))   //nolint:gosec // the byte is what is wanted
		id[10+i] = byte(n >> (40 - 8*i)) //nolint:gosec // as above
	}
	id[6], id[7] = 0x70|byte(run>>60), byte(run>>48)  //nolint:gosec // as above
	id[8], id[9] = 0x80|byte(run>>42)&0x3f, byte(run) //nolint:gosec // as above
	return id
}

// stamp gives the events new ids and the time now.
func (q *Request) stamp(now time.Time) {
	var text [36]byte
	// Room for nanoseconds: AppendFormat writes them before it cuts them.
	at := now.UTC().AppendFormat(make([]byte, 0, len(timeLayout)+8), timeLayout)
	for i := range q.events {
		id := NewID(now)
		hex.Encode(text[0:8], id[0:4])
		text[8] = '-'
		hex.Encode(text[9:13], id[4:6])
		text[13] = '-'
		hex.Encode(text[14:18], id[6:8])
		text[18] = '-'
		hex.Encode(text[19:23], id[8:10])
		text[23] = '-'
		hex.Encode(text[24:36], id[10:16])
		copy(q.data[q.ids[i]:], text[:])
		copy(q.data[q.times[i]:], at)
	}
}
