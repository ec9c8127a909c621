package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/lakepulse/lakepulse/bench/load"
	"github.com/lakepulse/lakepulse/pkg/pgbinary"
)

const (
	fillConns = 2
	fillChunk = 50_000 // rows of a COPY, which is a transaction
)

// stretch is rows to fill in: n of them from a moment on, step apart.
type stretch struct {
	from time.Time
	step time.Duration
	n    int
}

// over spreads n rows evenly from one moment to another.
func over(from, to time.Time, n int) stretch {
	return stretch{from, to.Sub(from) / time.Duration(max(n, 1)), n}
}

// cut cuts a stretch into pieces of a COPY each, in the order of time.
func (s stretch) cut() []stretch {
	var pieces []stretch
	for done := 0; done < s.n; done += fillChunk {
		pieces = append(pieces, stretch{s.from.Add(time.Duration(done) * s.step), s.step, min(fillChunk, s.n-done)})
	}
	return pieces
}

// inTurns takes a piece of each stretch, then the next of each: connections that
// work side by side mostly write different days, each at the end of its index.
func inTurns(stretches []stretch) []stretch {
	lists := make([][]stretch, len(stretches))
	left := 0
	for i, s := range stretches {
		lists[i] = s.cut()
		left += len(lists[i])
	}
	all := make([]stretch, 0, left)
	for turn := 0; len(all) < left; turn++ {
		for _, list := range lists {
			if turn < len(list) {
				all = append(all, list[turn])
			}
		}
	}
	return all
}

// fillRequests stores performance events by COPY into the table as the product
// has it, its key included, on two connections.
func fillRequests(ctx context.Context, pool *pgxpool.Pool, stretches []stretch) error {
	pieces := make(chan stretch)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(pieces)
		for _, p := range inTurns(stretches) {
			select {
			case pieces <- p:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for i := range fillConns {
		g.Go(func() error { return fillFrom(ctx, pool, uint64(i), pieces) }) //nolint:gosec // an index
	}
	return g.Wait()
}

func fillFrom(ctx context.Context, pool *pgxpool.Pool, seed uint64, pieces <-chan stretch) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	t := newCopyTemplate(fillChunk, rand.New(rand.NewPCG(seed, 13))) //nolint:gosec // no secret
	for p := range pieces {
		if _, err := conn.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(t.at(p)), copyIn); err != nil {
			return fmt.Errorf("fill from %s: %w", p.from, err)
		}
	}
	return nil
}

// copyTemplate is a COPY stream in which only ids and times change from one use
// to the next: making rows must not cost more than storing them.
type copyTemplate struct {
	data []byte
	rows []int // where each begins, and where the last ends
}

const (
	// Within a row, behind the number of its fields and before each value a length.
	idAt        = 2 + 4
	timestampAt = idAt + 16 + 4
	receivedAt  = timestampAt + 8 + 4
)

func newCopyTemplate(n int, r *rand.Rand) *copyTemplate {
	t := &copyTemplate{data: copyStream(makeRows(n, r)), rows: make([]int, 0, n+1)}
	at := len(pgbinary.CopyHeader)
	for range n {
		t.rows = append(t.rows, at)
		at += 2
		for range rowColumns {
			at += 4 + int(binary.BigEndian.Uint32(t.data[at:]))
		}
	}
	t.rows = append(t.rows, at)
	return t
}

// at returns the stream of a stretch, which is valid until the next call.
func (t *copyTemplate) at(s stretch) []byte {
	for i := range s.n {
		row := t.data[t.rows[i]:]
		moment := s.from.Add(time.Duration(i) * s.step)
		id := load.NewID(moment)
		copy(row[idAt:], id[:])
		micros := uint64(pgbinary.Micros(moment)) //nolint:gosec // two's complement is the format
		binary.BigEndian.PutUint64(row[timestampAt:], micros)
		binary.BigEndian.PutUint64(row[receivedAt:], micros)
	}
	if s.n == len(t.rows)-1 {
		return t.data
	}
	end := t.rows[s.n]
	return append(bytes.Clone(t.data[:end]), pgbinary.CopyTrailer...)
}
