package forget

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/postgres"
)

// Params say where to forget.
type Params struct {
	JS   jetstream.JetStream
	Pool *pgxpool.Pool
	Now  func() time.Time
	// Patience is how long writers may take to store what was published before
	// the log was rewritten.
	Patience time.Duration
	// DryRun only counts.
	DryRun bool
}

// Report says what was found, and unless it was a dry run rewritten.
type Report struct {
	User        string `json:"user"`
	ReplacedBy  string `json:"replaced_by,omitempty"`
	LogMessages int    `json:"log_messages"`
	LogEvents   int    `json:"log_events"`
	DeadLetters int    `json:"dead_letters"`
	Performance int64  `json:"performance_rows"`
	Usage       int64  `json:"usage_rows"`
	// InAggregates says whether sets of users held the user.
	InAggregates bool `json:"in_aggregates"`
}

// User erases a user. The report is of what was done, also beside an error.
func User(ctx context.Context, p Params, user string) (Report, error) {
	if user == "" || len(user) > 4*event.MaxText {
		return Report{}, errors.New("user: must be the user id as the events name it")
	}
	r := Report{User: user}
	if !p.DryRun {
		name, err := madeUpName()
		if err != nil {
			return r, err
		}
		r.ReplacedBy = name
	}
	l := &rewriter{js: p.JS, user: user, name: r.ReplacedBy, dry: p.DryRun}
	last, err := l.log(ctx)
	r.LogMessages, r.LogEvents = l.messages, l.events
	if err != nil {
		return r, err
	}
	r.DeadLetters, err = l.deadLetters(ctx)
	if err != nil {
		return r, err
	}
	if !p.DryRun {
		if err := awaitStored(ctx, p, last); err != nil {
			return r, err
		}
	}
	return r, eraseRows(ctx, p, &r)
}

func madeUpName() (string, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make up a name: %w", err)
	}
	return "forgotten-" + hex.EncodeToString(b[:]), nil
}

// eraseRows does the database's part in one SERIALIZABLE transaction: an
// aggregation of the same hours at the same moment would else bring the name back.
func eraseRows(ctx context.Context, p Params, r *Report) error {
	if p.DryRun {
		return postgres.Snapshot(ctx, p.Pool, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, `
SELECT (SELECT count(*) FROM performance_metrics WHERE user_id = $1), (SELECT count(*) FROM usage_events WHERE user_id = $1),
       EXISTS (SELECT FROM user_numbers WHERE user_id = $1)`, r.User).Scan(&r.Performance, &r.Usage, &r.InAggregates)
		})
	}
	return postgres.Serializable(ctx, p.Pool, func(tx pgx.Tx) error {
		performance, err := eraseKind(ctx, tx, event.KindPerformance, r)
		if err != nil {
			return err
		}
		usage, err := eraseKind(ctx, tx, event.KindUsage, r)
		if err != nil {
			return err
		}
		numbers, err := tx.Exec(ctx, `UPDATE user_numbers SET user_id = $2 WHERE user_id = $1`, r.User, r.ReplacedBy)
		if err != nil {
			return fmt.Errorf("rewrite the dictionary of users: %w", err)
		}
		// It shows what dead letters hold; the writer writes it again in seconds.
		if err := metricsdb.ForgetDeadLetters(ctx, tx); err != nil {
			return err
		}
		r.Performance, r.Usage, r.InAggregates = performance, usage, numbers.RowsAffected() > 0
		return nil
	})
}

// eraseKind rewrites the raw rows of a kind and returns how many.
func eraseKind(ctx context.Context, tx pgx.Tx, kind event.Kind, r *Report) (int64, error) {
	set := `user_id = $2`
	for _, column := range kind.PersonalColumns() {
		set += `, ` + column + ` = NULL`
	}
	tag, err := tx.Exec(ctx, `UPDATE `+kind.RawTable()+` SET `+set+` WHERE user_id = $1`, r.User, r.ReplacedBy)
	if err != nil {
		return 0, fmt.Errorf("rewrite %s rows: %w", kind, err)
	}
	return tag.RowsAffected(), nil
}
