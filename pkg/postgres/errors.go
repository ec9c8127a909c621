package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Class says how to answer a database error.
type Class int

const (
	// NoError is the class of a nil error.
	NoError Class = iota
	// Content: the values are wrong (out of range, a violated constraint, a character
	// that the database's encoding lacks). The same values fail again; other values of
	// the same statement may be good.
	Content
	// Conflict: the transaction collided with another. Run it again at once.
	Conflict
	// MissingPartition: the day of a row has no partition yet. Make it, then run again.
	MissingPartition
	// Outage: everything else, from a refused connection to a missing table or right.
	// The values are not the reason, so they wait until it is mended.
	Outage
)

// SQLSTATE codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
const (
	stateCardinality      = "21" // these four are classes
	stateDataException    = "22"
	stateIntegrity        = "23"
	stateTooComplex       = "54"
	stateConnection       = "08"
	stateLogin            = "28" // 28000, 28P01
	stateNoDatabase       = "3D"
	stateOperator         = "57P" // shutdown, crash, starting up, dropped database, idle session
	stateTooManyConns     = "53300"
	stateSerialization    = "40001"
	stateDeadlock         = "40P01"
	stateUniqueViolation  = "23505"
	stateCheckViolation   = "23514"
	stateLockNotAvailable = "55P03"
	stateReadOnly         = "25006"
	stateNotSupported     = "0A000"
	stateNoPrivilege      = "42501"
)

// Functions of the server that raise a code with several meanings. Unlike the
// message they are not translated.
const (
	routineFindPartition  = "ExecFindPartition"
	routineCachedPlan     = "RevalidateCachedQuery"
	routineUnicodeEscape  = "pg_unicode_to_server"
	routineUnicodeEscape2 = "pg_unicode_to_server_noerror"
)

// Classify returns the class of an error.
func Classify(err error) Class {
	if err == nil {
		return NoError
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return Outage
	}
	switch {
	case pg.Code == stateSerialization || pg.Code == stateDeadlock:
		return Conflict
	case pg.Code == stateCheckViolation && pg.ConstraintName == "" && strings.HasPrefix(pg.Routine, routineFindPartition):
		return MissingPartition
	case pg.Code == stateNotSupported && (pg.Routine == routineUnicodeEscape || pg.Routine == routineUnicodeEscape2):
		return Content // a \u escape that the encoding of the database cannot express
	case hasState(pg, stateCardinality, stateDataException, stateIntegrity, stateTooComplex):
		return Content
	}
	return Outage
}

// Unreachable reports whether the database could not be used at all: no connection,
// a refused login, no such database, no free connection slot, or a server that stops
// or starts. An error without a SQLSTATE counts as unreachable; callers ask about
// their own errors and an ended context first.
func Unreachable(err error) bool {
	if err == nil {
		return false
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return !ok || hasState(pg, stateConnection, stateLogin, stateNoDatabase, stateTooManyConns, stateOperator)
}

// EndsWithProbe reports whether Probe tells the end of this failure: a database that
// does not answer, stops, starts or is read-only. For any other failure a successful
// Probe proves nothing.
func EndsWithProbe(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return !ok || hasState(pg, stateOperator, stateReadOnly)
}

// SessionAtFault reports whether the state of the session caused the error, so that
// another session of the same pool may succeed: a read-only default that was set when
// it connected (25006), a login, role or right that has changed since (28, 42501), a
// prepared statement whose result type has changed (0A000), an end by the operator
// (57P). The pools of Open close such a session.
func SessionAtFault(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	return hasState(pg, stateReadOnly, stateLogin, stateOperator, stateNoPrivilege) ||
		pg.Code == stateNotSupported && pg.Routine == routineCachedPlan
}

// LoginRefused reports whether Postgres refused the user or the password.
func LoginRefused(err error) bool { return hasStateOf(err, stateLogin) }

// LockTimedOut reports whether a lock was not granted within lock_timeout.
func LockTimedOut(err error) bool { return hasStateOf(err, stateLockNotAvailable) }

// IsDuplicate reports whether a unique key was violated.
func IsDuplicate(err error) bool { return hasStateOf(err, stateUniqueViolation) }

// Describe returns the server's message with its SQLSTATE and context, without the
// statement and the wrapping around it; for other errors their text.
func Describe(err error) string {
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

func hasStateOf(err error, prefixes ...string) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && hasState(pg, prefixes...)
}

func hasState(pg *pgconn.PgError, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(pg.Code, prefix) {
			return true
		}
	}
	return false
}

// ErrReadOnly is Probe's error for a database that answers and takes no writes.
var ErrReadOnly = errors.New("the database is read-only")

// Probe checks that the database answers and takes writes. It resets the pool when it
// does not: sessions keep the read-only default they connected with, so an old one
// would report it after the database has recovered.
func Probe(ctx context.Context, pool *pgxpool.Pool) error {
	var readOnly bool
	err := pool.QueryRow(ctx, `SELECT current_setting('transaction_read_only')::bool`).Scan(&readOnly)
	if err != nil {
		return fmt.Errorf("probe the database: %w", err)
	}
	if readOnly {
		pool.Reset()
		return ErrReadOnly
	}
	return nil
}
