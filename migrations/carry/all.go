package carry

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
)

const (
	lease     = 2 * time.Minute
	leasePoll = 250 * time.Millisecond
	// leaseWait is how long a run of an aggregator that works is waited for.
	leaseWait = 30 * time.Minute
)

// All copies everything, and then calls switchOver while no aggregation run is at
// work: what is copied stays what it is. One process at a time may call it.
func All(ctx context.Context, conn *pgx.Conn, switchOver func() error) (err error) {
	if _, err := Run(ctx, conn); err != nil { // most of it, beside whatever works
		return err
	}
	id := uuid.New()
	if err := takeLease(ctx, conn, id); err != nil {
		return err
	}
	defer func() {
		if dropped := metricsdb.DropLease(context.WithoutCancel(ctx), conn, id); err == nil {
			err = dropped
		}
	}()
	for {
		n, err := Run(ctx, conn)
		if err != nil {
			return err
		}
		if n == 0 {
			return switchOver()
		}
	}
}

func takeLease(ctx context.Context, conn *pgx.Conn, id uuid.UUID) error {
	for start := time.Now(); ; {
		taken, err := metricsdb.TakeLease(ctx, conn, id, "migration", lease)
		switch {
		case err != nil || taken:
			return err
		case time.Since(start) > leaseWait:
			return fmt.Errorf("an aggregation run has not ended in %s", leaseWait)
		}
		if err := sleep(ctx, leasePoll); err != nil {
			return err
		}
	}
}
