package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/rawstore"
)

const (
	ceilingConns = 2
	ceilingChunk = 5000
)

// ceiling writes events straight into our table, each chunk a transaction, on two
// connections. What the rows are made of is part of the work; JSON, HTTP and the
// log are not.
func (b *bench) ceiling(ctx context.Context, name string, write func(context.Context, *pgconn.PgConn, []event.Performance) error) (*contender, error) {
	_, pool, err := b.pg.Migrated(ctx, strings.ReplaceAll(name, " ", "_"))
	if err != nil {
		return nil, err
	}
	today := time.Now()
	if err := rawstore.New(pool, nil).EnsureDays(ctx, today.Add(-24*time.Hour), today.Add(24*time.Hour)); err != nil {
		return nil, err
	}
	return &contender{
		name: name, pool: pool, count: countOurs, truncate: truncateOurs, whole: wholeOurs,
		write: func(ctx context.Context, events int) error { return writeAll(ctx, pool, events, write) },
	}, nil
}

func writeAll(ctx context.Context, pool *pgxpool.Pool, events int, write func(context.Context, *pgconn.PgConn, []event.Performance) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := range ceilingConns {
		g.Go(func() error {
			conn, err := pool.Acquire(ctx)
			if err != nil {
				return err
			}
			defer conn.Release()
			r := rand.New(rand.NewPCG(uint64(i), 11)) //nolint:gosec // an index
			mine := events / ceilingConns
			if i == 0 {
				mine += events % ceilingConns
			}
			for mine > 0 {
				n := min(mine, ceilingChunk)
				if err := write(ctx, conn.Conn().PgConn(), makeRows(n, r)); err != nil {
					return err
				}
				mine -= n
			}
			return nil
		})
	}
	return g.Wait()
}

var insertArrays = func() string {
	var names, params []string
	for i, c := range rowColumns {
		names = append(names, c.name)
		params = append(params, fmt.Sprintf("$%d::%s[]", i+1, c.sql))
	}
	return "INSERT INTO performance_metrics (" + strings.Join(names, ", ") + ") SELECT * FROM unnest(" +
		strings.Join(params, ", ") + ") ON CONFLICT DO NOTHING"
}()

// idempotentInsert is the fastest write that a repetition does not double.
func idempotentInsert(ctx context.Context, conn *pgconn.PgConn, rows []event.Performance) error {
	values, oids := arrays(rows)
	return conn.ExecParams(ctx, insertArrays, values, oids, []int16{1}, nil).Read().Err
}

var copyIn = func() string {
	var names []string
	for _, c := range rowColumns {
		names = append(names, c.name)
	}
	return "COPY performance_metrics (" + strings.Join(names, ", ") + ") FROM STDIN (FORMAT binary)"
}()

// plainCopy fails as a whole on one row that is there already.
func plainCopy(ctx context.Context, conn *pgconn.PgConn, rows []event.Performance) error {
	_, err := conn.CopyFrom(ctx, bytes.NewReader(copyStream(rows)), copyIn)
	return err
}
