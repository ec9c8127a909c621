package aggregate

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lakepulse/lakepulse/pkg/postgres"
)

// unreachableDatabase reports whether the database could not be used, as opposed to
// refusing a statement. Our own errors are no outage.
func unreachableDatabase(err error) bool {
	if _, ok := errors.AsType[*pgconn.PgError](err); !ok {
		_, bad := errors.AsType[badRow](err)
		if bad || errors.Is(err, errTooLarge) || errors.Is(err, errDiffers) || errors.Is(err, ErrBusy) {
			return false
		}
	}
	return postgres.Unreachable(err)
}
