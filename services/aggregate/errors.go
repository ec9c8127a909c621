package aggregate

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// away reports whether an error means that the database is not there, rather
// than that it refused something. A caller whose context has ended asks that first.
func away(err error) bool {
	if err == nil {
		return false
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		_, bad := errors.AsType[badRow](err)
		return !bad && !errors.Is(err, errTooLarge) && !errors.Is(err, errDiffers) && !errors.Is(err, ErrBusy)
	}
	// Connections, credentials, no such database, too many connections, shutting down.
	for _, class := range []string{"08", "28", "3D", "53300", "57P"} {
		if strings.HasPrefix(pg.Code, class) {
			return true
		}
	}
	return false
}

// explain puts an error into words for a receipt: what Postgres said, without
// the statement around it.
func explain(err error) string {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err.Error()
	}
	text := pg.Message + " (SQLSTATE " + pg.Code + ")"
	if pg.Where != "" {
		text += ", " + pg.Where
	}
	return text
}

// jitter is how long to wait before another attempt: it doubles from 5 ms to a
// second, and half of it is chance, so that those who clashed do not again.
func jitter(attempt int) time.Duration {
	d := min(time.Second, 5*time.Millisecond<<min(attempt, 10))
	return d/2 + rand.N(d/2+1)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
