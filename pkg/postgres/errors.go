package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Verdict is what an error of the database means for the one who met it.
type Verdict int

const (
	// Fine is the verdict on no error.
	Fine Verdict = iota
	// Content says that the values are to blame (SQLSTATE classes 21, 22, 23). The same
	// values fail again; other values in the same statement may be good.
	Content
	// Clash says that the transaction met another (40001, 40P01). Run it again at once.
	Clash
	// NoPartition says that a row's day has no partition yet. Make it, then run again.
	NoPartition
	// Outage is everything else, from a refused connection to a missing table or
	// right: not the values' fault, so they wait until it is mended.
	Outage
)

// SQLSTATE codes that mean something to us beyond their class.
const (
	codeSerialization  = "40001"
	codeDeadlock       = "40P01"
	codeCheckViolation = "23514"
	codeTooComplex     = "54"
)

// Classify tells what an error means.
func Classify(err error) Verdict {
	if err == nil {
		return Fine
	}
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return Outage
	}
	switch {
	case pg.Code == codeSerialization || pg.Code == codeDeadlock:
		return Clash
	case pg.Code == codeCheckViolation && pg.ConstraintName == "" && strings.HasPrefix(pg.Routine, "ExecFindPartition"):
		return NoPartition
	case hasClass(pg.Code, "21", "22", "23", codeTooComplex):
		return Content
	}
	return Outage
}

func hasClass(code string, classes ...string) bool {
	for _, c := range classes {
		if strings.HasPrefix(code, c) {
			return true
		}
	}
	return false
}

// backoff grows from least, doubling, to most, with up to half of it jittered
// so that those who clashed once do not clash again in step.
func backoff(try int, least, most time.Duration) time.Duration {
	d := min(most, least<<min(try, 20))
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
