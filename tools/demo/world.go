package demo

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// world is everything that stays the same from day to day.
type world struct {
	seed  uint64
	apps  []*app
	users []user
	// The outage, and the slow release with the one that mends it.
	outage, healed time.Time
	slow, mended   time.Time
	first, today   time.Time
}

// app is an application under measurement.
type app struct {
	name      string
	instances []string
	pages     []page
	jobs      []*endpoint // called by machines, without a user
	releases  []release
}

type release struct {
	at      time.Time
	version string
}

// page is a page of an app: what it loads and what can be done on it.
type page struct {
	name    string
	weight  float64
	loads   []*endpoint
	actions []action
}

// action is something people click or submit.
type action struct {
	event   string
	element string
	weight  float64
	calls   []*endpoint
}

// endpoint is a route and how long it takes.
type endpoint struct {
	method, path string
	median       float64 // milliseconds
	sigma        float64 // of the logarithm
	tail         float64 // how often it takes many times as long
	failure      float64 // how often it fails on an ordinary day
	suffers      bool    // from the slow release
}

type user struct {
	id       string
	activity float64 // some work all day, most look in now and then
	app      int     // the app they use mostly
}

func newWorld(seed uint64, first, today time.Time) *world {
	w := &world{seed: seed, apps: []*app{newOrders(), newInsights()}, first: first, today: today}
	r := rand.New(rand.NewPCG(seed, 0))
	names := []string{"ada", "alan", "barbara", "claude", "donald", "edsger", "frances", "grace", "hedy", "ivan", "john", "katherine",
		"leslie", "margaret", "niklaus", "ole", "radia", "shafi", "tim", "vint"}
	for i := range 300 {
		w.users = append(w.users, user{
			id:       fmt.Sprintf("%s.%02d@example.com", names[i%len(names)], i/len(names)+1),
			activity: math.Exp(r.NormFloat64()), app: r.IntN(5) / 4,
		})
	}
	w.slow, w.mended = today.AddDate(0, 0, -9).Add(10*time.Hour), today.AddDate(0, 0, -6).Add(15*time.Hour)
	w.outage = today.AddDate(0, 0, -3).Add(14*time.Hour + 5*time.Minute)
	w.healed = w.outage.Add(45 * time.Minute)
	for i, a := range w.apps {
		w.release(a, i, r)
	}
	return w
}

// release gives an app a new version every other week or so, and the first app
// its slow one and the one that mended it.
func (w *world) release(a *app, i int, r *rand.Rand) {
	minor := 0
	for at := w.first; at.Before(w.today); at = at.AddDate(0, 0, 10+r.IntN(8)) {
		if i == 0 && at.After(w.slow.AddDate(0, 0, -4)) {
			break
		}
		a.releases = append(a.releases, release{at.Add(time.Duration(9+r.IntN(8)) * time.Hour), fmt.Sprintf("%d.%d.0", i+2, minor)})
		minor++
	}
	if len(a.releases) > 0 {
		a.releases[0].at = w.first
	}
	if i == 0 {
		a.releases = append(a.releases, release{w.slow, fmt.Sprintf("2.%d.0", minor)}, release{w.mended, fmt.Sprintf("2.%d.1", minor)})
	}
}

// version is what ran of an app at a time.
func (a *app) version(at time.Time) string {
	version := ""
	for _, r := range a.releases {
		if at.Before(r.at) {
			break
		}
		version = r.version
	}
	return version
}

// load is how busy a moment is, against a working day's mean of about one.
func load(at time.Time) float64 {
	hour := float64(at.Hour()) + float64(at.Minute())/60
	shape := 0.12 + 1.9*bell(hour, 10.5, 2.2) + 1.7*bell(hour, 15, 2.3) + 0.25*bell(hour, 20.5, 1.6)
	if day := at.Weekday(); day == time.Saturday || day == time.Sunday {
		shape *= 0.33
	}
	return shape
}

func bell(x, middle, width float64) float64 {
	return math.Exp(-(x - middle) * (x - middle) / (2 * width * width))
}

// newID makes a UUIDv7 of a time, whose random part comes from the demo's source.
func newID(r *rand.Rand, at time.Time) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(at.UnixMilli())<<16|r.Uint64()&0xffff) // after 1970
	binary.BigEndian.PutUint64(id[8:], r.Uint64())
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return id
}

func appNames() []string { return []string{"orders", "insights"} }
