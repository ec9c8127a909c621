package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/lakepulse/lakepulse/bench/rig"
	"github.com/lakepulse/lakepulse/pkg/retry"
)

const (
	quietFor      = 2 * time.Second
	quietShare    = 0.05 // of a core, for process and database together
	quietPatience = 3 * time.Minute
)

// quiet waits until a process and the database have had nothing to do for a
// while: what they do at a start, and autovacuum behind a fill, are not part of
// what is timed next.
func (b *bench) quiet(ctx context.Context, pid int) error {
	for began := time.Now(); ; {
		before, err := b.spent(pid)
		if err != nil {
			return err
		}
		if err := retry.Sleep(ctx, quietFor); err != nil {
			return err
		}
		after, err := b.spent(pid)
		if err != nil {
			return err
		}
		busy, err := b.pg.Busy(ctx)
		if err != nil {
			return err
		}
		if !busy && after-before < quietShare*quietFor.Seconds() {
			return nil
		}
		if time.Since(began) > quietPatience {
			return fmt.Errorf("not idle within %s", quietPatience)
		}
	}
}

func (b *bench) spent(pid int) (float64, error) {
	own, err := rig.Tree(pid)
	if err != nil {
		return 0, err
	}
	database, err := b.pg.Usage()
	return own.CPU + database.CPU, err
}

// roomFor says when the disk has not got so many bytes to spare.
func (b *bench) roomFor(bytes int64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(b.dir, &fs); err != nil {
		return err
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < bytes { //nolint:gosec // no disk is as large
		return fmt.Errorf("%s has %d MB free, this needs %d MB (TMPDIR says where else)", b.dir, free>>20, bytes>>20)
	}
	return nil
}
