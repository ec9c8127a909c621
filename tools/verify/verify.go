package verify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/tools/console"
)

// Bucket is what log and database are compared by.
type Bucket struct {
	Hour time.Time  `json:"hour"`
	App  string     `json:"app"`
	Kind event.Kind `json:"kind"`
}

// Side is what one of the two holds of a bucket.
type Side struct {
	Count    int64 `json:"count"`
	Checksum Sum   `json:"checksum"`
}

// Sum is the exclusive or of ids: whatever their order, one id more, less or
// other changes it.
type Sum [2]uint64

// String returns the sum in hexadecimal digits.
func (s Sum) String() string { return fmt.Sprintf("%016x%016x", s[0], s[1]) }

// MarshalText implements encoding.TextMarshaler.
func (s Sum) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Comparison is one bucket.
type Comparison struct {
	Bucket
	Log        Side        `json:"log"` // events that must be stored
	Database   Side        `json:"database"`
	InFlight   int64       `json:"in_flight"`         // published after the writers' position: stored or not, both is right
	Older      int64       `json:"older_than_log"`    // rows from before the log's first message
	Dead       int64       `json:"dead"`              // in the dead letters, not in the database
	Missing    []uuid.UUID `json:"missing,omitempty"` // in the log, not in the database; the first of them
	Surplus    []uuid.UUID `json:"surplus,omitempty"` // in the database, not in the log; the first of them
	MissingAll int64       `json:"missing_count"`     // how many
	SurplusAll int64       `json:"surplus_count"`     // how many
}

// Equal reports whether the two sides agree.
func (c *Comparison) Equal() bool { return c.MissingAll == 0 && c.SurplusAll == 0 }

// Report is the outcome of a verification.
type Report struct {
	Buckets    []Comparison `json:"buckets"`
	Summarised int64        `json:"summarised"` // events of the log below the purge line
	Unreadable int64        `json:"unreadable"` // messages; they are in the dead letters
	Reach      time.Time    `json:"reach"`      // since when the log holds messages
	PurgedTo   time.Time    `json:"purged_before,omitzero"`
}

// Equal reports whether log and database agree.
func (r *Report) Equal() bool {
	for i := range r.Buckets {
		if !r.Buckets[i].Equal() {
			return false
		}
	}
	return true
}

// Options say what to compare.
type Options struct {
	Log      jetstream.JetStream
	Pool     *pgxpool.Pool
	Since    time.Time // of events; cut to the hour; zero for all
	ShowIDs  int       // of those that differ, in each bucket
	Clock    func() time.Time
	Progress func(console.Progress)
}

// perPart bounds the events held in memory: a log of more is read several times,
// for a part of the ids each.
const (
	perPart       = 4_000_000
	bytesPerEvent = 100 // at least, as they lie in the log
)

// Run compares, on a system that may be at work. The order of its looks is
// what makes that sound: first the position below which everything is committed,
// then the rows, of one moment, then the log.
func Run(ctx context.Context, o Options) (Report, error) {
	o.Since = o.Since.UTC().Truncate(time.Hour)
	position, err := stream.ReadPosition(ctx, o.Log, o.Clock)
	if err != nil {
		return Report{}, err
	}
	reach, err := stream.ReadReach(ctx, o.Log)
	if err != nil {
		return Report{}, err
	}
	report := Report{Reach: reach.FirstTime}
	parts := reach.Bytes/bytesPerEvent/perPart + 1
	err = postgres.Snapshot(ctx, o.Pool, func(tx pgx.Tx) error {
		if err := readPurgeLine(ctx, tx, &report.PurgedTo); err != nil {
			return err
		}
		dead, err := deadIDs(ctx, o.Log)
		if err != nil {
			return err
		}
		for part := range parts {
			v := &verification{
				Options: o, report: &report, tx: tx, floor: position.Sequence, dead: dead, part: part, parts: parts,
				buckets: map[Bucket]*logged{}, from: later(o.Since, report.PurgedTo), before: reach.FirstTime.Add(boundary),
			}
			if err := v.run(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	report.merge()
	return report, err
}

// boundary is how long after its reception an event may be published.
const boundary = time.Minute

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func readPurgeLine(ctx context.Context, tx pgx.Tx, line *time.Time) error {
	read, err := metricsdb.ReadPurgeLine(ctx, tx)
	*line = read.PurgedBefore
	return err
}

// key is what an event is stored under.
type key struct {
	id uuid.UUID
	at int64 // microseconds
}

func compareKeys(a, b key) int {
	if c := bytes.Compare(a.id[:], b.id[:]); c != 0 {
		return c
	}
	return cmp.Compare(a.at, b.at)
}

// eachKey calls f with the key of every event of a batch.
func eachKey(b *event.Batch, f func(id uuid.UUID, at time.Time)) {
	for i := range b.Performance {
		f(b.Performance[i].ID, b.Performance[i].Timestamp)
	}
	for i := range b.Usage {
		f(b.Usage[i].ID, b.Usage[i].Timestamp)
	}
}

// logged is what the log holds of a bucket.
type logged struct{ must, maybe []key }

// verification compares one part of the ids.
type verification struct {
	Options
	report  *Report
	tx      pgx.Tx
	floor   uint64 // everything at or below is stored, or dead
	dead    map[key]bool
	part    uint64
	parts   uint64
	buckets map[Bucket]*logged
	from    time.Time // of events
	before  time.Time // rows received before may be older than the log
}

func (v *verification) run(ctx context.Context) error {
	if err := v.readLog(ctx); err != nil {
		return err
	}
	stored, err := v.readTables(ctx)
	if err != nil {
		return err
	}
	for b := range stored {
		if v.buckets[b] == nil {
			v.buckets[b] = &logged{}
		}
	}
	for b, l := range v.buckets {
		c := Comparison{Bucket: b, Log: sideOf(l.must), Database: stored[b]}
		c.InFlight = int64(len(l.maybe))
		if c.Log != c.Database {
			if err := v.explain(ctx, &c, l); err != nil {
				return err
			}
		}
		v.report.Buckets = append(v.report.Buckets, c)
	}
	return nil
}

func (v *verification) readLog(ctx context.Context) error {
	sel := stream.Selection{}
	if !v.Since.IsZero() {
		sel.Published = v.Since.Add(-event.MaxAhead)
	}
	s, err := stream.OpenSource(ctx, v.Log, sel)
	if err != nil {
		return err
	}
	defer s.Close()
	for events := int64(0); ; {
		m, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		b, err := m.Decode()
		if err != nil { // it is in the dead letters; counted in the first of the parts only
			if v.part == 0 {
				v.report.Unreadable++
			}
			continue
		}
		v.addBatch(m.Sequence, b)
		events += int64(b.Len())
		if v.Progress != nil {
			done := float64(m.Sequence-s.Reach.First+1) / float64(s.Reach.Last-s.Reach.First+1)
			v.Progress(console.Progress{Events: events, Position: m.Sequence, Done: (float64(v.part) + done) / float64(v.parts)})
		}
	}
	for _, l := range v.buckets {
		slices.SortFunc(l.must, compareKeys)
		l.must = slices.Compact(l.must) // an event may be in the log more than once
		slices.SortFunc(l.maybe, compareKeys)
		l.maybe = slices.DeleteFunc(slices.Compact(l.maybe), func(k key) bool { return found(l.must, k) })
	}
	return nil
}

// addBatch sorts the events of a message into their buckets.
func (v *verification) addBatch(sequence uint64, batch *event.Batch) {
	eachKey(batch, func(id uuid.UUID, at time.Time) {
		switch {
		case uint64(id[15])%v.parts != v.part || at.Before(v.Since):
			return
		case at.Before(v.from):
			v.report.Summarised++
			return
		}
		b := Bucket{Hour: at.UTC().Truncate(time.Hour), App: batch.App, Kind: batch.Kind}
		l := v.buckets[b]
		if l == nil {
			l = &logged{}
			v.buckets[b] = l
		}
		k := key{id, at.UnixMicro()}
		if sequence <= v.floor {
			l.must = append(l.must, k)
		} else {
			l.maybe = append(l.maybe, k)
		}
	})
}

func found(sorted []key, k key) bool {
	_, ok := slices.BinarySearchFunc(sorted, k, compareKeys)
	return ok
}

func sideOf(keys []key) Side {
	s := Side{Count: int64(len(keys))}
	for _, k := range keys {
		s.Checksum[0] ^= binary.BigEndian.Uint64(k.id[:8])
		s.Checksum[1] ^= binary.BigEndian.Uint64(k.id[8:])
	}
	return s
}

const tableQuery = `
SELECT date_bin('1 hour', "timestamp", 'epoch'), app, count(*),
       bit_xor(('x' || left(replace(id::text, '-', ''), 16))::bit(64)::bigint),
       bit_xor(('x' || right(replace(id::text, '-', ''), 16))::bit(64)::bigint)
  FROM %s
 WHERE "timestamp" >= $1 AND get_byte(uuid_send(id), 15) %% $2 = $3
 GROUP BY 1, 2`

func (v *verification) readTables(ctx context.Context) (map[Bucket]Side, error) {
	sides := map[Bucket]Side{}
	for _, kind := range event.Kinds() {
		table := metricsdb.RawTable(kind)
		rows, err := v.tx.Query(ctx, fmt.Sprintf(tableQuery, table), v.from, int64(v.parts), int64(v.part))
		if err != nil {
			return nil, fmt.Errorf("count %s: %w", table, err)
		}
		b := Bucket{Kind: kind}
		var high, low, n int64
		_, err = pgx.ForEachRow(rows, []any{&b.Hour, &b.App, &n, &high, &low}, func() error {
			b.Hour = b.Hour.UTC()
			sides[b] = Side{Count: n, Checksum: Sum{uint64(high), uint64(low)}} // bits
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("count %s: %w", table, err)
		}
	}
	return sides, nil
}
