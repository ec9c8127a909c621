package aggregate

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/services/aggregate/tally"
)

// unreachableDatabase reports whether the database could not be used, as opposed to
// refusing a statement. Our own errors are no outage.
func unreachableDatabase(err error) bool {
	if _, ok := errors.AsType[*pgconn.PgError](err); !ok {
		for _, own := range []error{tally.ErrBadRow, tally.ErrTooLarge, errDiffers, ErrBusy} {
			if errors.Is(err, own) {
				return false
			}
		}
	}
	return postgres.Unreachable(err)
}
