package aggregate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/services/aggregate/tally"
)

// hoursJob is what to do in one transaction: hours of one kind that follow each
// other. One hour is the usual; after a pause, many at once are faster.
type hoursJob struct {
	kind   event.Kind
	starts []time.Time // ascending
	runID  uuid.UUID
	// forced: also hours with a receipt and without a mark.
	forced bool
	caches *caches
}

// caches are numbers that the database has committed, for a run's transactions.
type caches struct {
	users, names tally.Cache
	keys         tally.KeyCache
}

func newCaches() *caches {
	return &caches{users: tally.Cache{}, names: tally.Cache{}, keys: tally.KeyCache{}}
}

func (j hoursJob) end() time.Time { return j.starts[len(j.starts)-1].Add(time.Hour) }

// numbers are those a transaction gives out; they hold once it has committed.
type numbers struct {
	users, names *tally.Dictionary
	keys         *tally.Numbered
}

func (c *caches) numbers() *numbers {
	return &numbers{users: tally.NewDictionary(c.users), names: tally.NewDictionary(c.names), keys: tally.NewNumbered(c.keys)}
}

// hoursResult is what a job came to.
type hoursResult struct {
	rows    int64
	numbers *numbers
}

func (r *hoursResult) committed() {
	if r.numbers != nil {
		r.numbers.users.Committed()
		r.numbers.names.Committed()
		r.numbers.keys.Committed()
	}
}

// aggregate replaces the aggregates of a job's hours in tx, clears their marks,
// and drops their days' sums. Unless forced it leaves out hours with a receipt
// and no mark; and never does it touch an hour below the purge line, which
// another run may have purged since this one made its plan.
func (s *store) aggregate(ctx context.Context, tx pgx.Tx, j hoursJob) (hoursResult, error) {
	var res hoursResult
	needed, err := metricsdb.ListNeededHours(ctx, tx, j.kind, j.starts, j.forced)
	if err != nil || len(needed) == 0 {
		return res, err
	}
	j.starts = needed
	if err := s.at(ctx, "hours needed"); err != nil {
		return res, err
	}
	w := &hoursWork{store: s, tx: tx, job: j, numbers: j.caches.numbers()}
	w.parts = tally.NewParts(j.kind, j.starts, w.numbers.users, w.numbers.names)
	err = w.readAtOnce(ctx)
	if errors.Is(err, tally.ErrTooLarge) && len(j.starts) == 1 {
		err = w.tallyByKey(ctx)
	} else if err == nil {
		err = w.writeAtOnce(ctx)
	}
	if err != nil {
		return res, err
	}
	res.numbers = w.numbers
	for _, start := range j.starts {
		rows, _ := w.parts.Hour(start)
		res.rows += rows
	}
	return res, nil
}

// hoursWork is a job under way in a transaction.
type hoursWork struct {
	*store
	tx      pgx.Tx
	job     hoursJob
	numbers *numbers
	parts   *tally.Parts
}

func (j hoursJob) days() []time.Time {
	var days []time.Time
	for _, start := range j.starts {
		if day := start.Truncate(24 * time.Hour); len(days) == 0 || !day.Equal(days[len(days)-1]) {
			days = append(days, day)
		}
	}
	return days
}

// readAtOnce opens the job and, in the same round trip, reads its rows.
func (w *hoursWork) readAtOnce(ctx context.Context) (err error) {
	b := metricsdb.OpenHours(w.job.kind, w.job.starts, w.job.days(), w.job.runID)
	before := b.Len()
	b.Queue(tally.RowsSQL(w.job.kind)+` WHERE "timestamp" >= $1 AND "timestamp" < $2`, w.job.starts[0], w.job.end())
	results := w.tx.SendBatch(ctx, b)
	defer func() {
		if closed := results.Close(); err == nil {
			err = closed
		}
	}()
	for range before {
		if _, err := results.Exec(); err != nil {
			return fmt.Errorf("open: %w", err)
		}
	}
	rows, err := results.Query()
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if err := w.parts.Read(rows, tally.Limits{Rows: w.limits.rows, Keys: w.limits.keys}); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return w.at(ctx, "rows read")
}

// writeAtOnce writes what was read at once and closes the job.
func (w *hoursWork) writeAtOnce(ctx context.Context) error {
	var day *tally.Tally
	if w.job.wholeDay() {
		day = tally.New(w.job.kind, w.numbers.users, w.numbers.names)
	}
	sums := map[time.Time][]*tally.Sum{}
	for _, hour := range w.job.starts {
		for _, start := range metricsdb.Parts(hour) {
			part := w.parts.Part(start)
			sums[start] = part.Sums()
			part.SumApps(sums[start])
			if day != nil {
				day.AddAll(part)
			}
		}
	}
	keys, err := w.writePages(ctx, sums)
	if err != nil {
		return err
	}
	b := &pgx.Batch{}
	if day != nil {
		if err := writeDay(ctx, w.tx, day, w.numbers.keys, b, w.job.starts[0], w.job.runID); err != nil {
			return err
		}
	}
	return w.close(ctx, keys, b)
}

// writePages numbers what the keys of some parts refer to and writes them. It
// returns how many keys each hour has.
func (w *hoursWork) writePages(ctx context.Context, sums map[time.Time][]*tally.Sum) (map[time.Time]int, error) {
	if err := tally.Resolve(ctx, w.tx, w.numbers.users, w.numbers.names); err != nil {
		return nil, err
	}
	var all []*tally.Sum
	keys := map[time.Time]int{}
	for start, list := range sums {
		all = append(all, list...)
		keys[start.Truncate(time.Hour)] += len(list)
	}
	if err := w.numbers.keys.Number(ctx, w.tx, w.job.kind, all); err != nil {
		return nil, err
	}
	if err := w.at(ctx, "users numbered"); err != nil {
		return nil, err
	}
	var to metricsdb.Pages
	for start, list := range sums {
		w.parts.Part(start).EncodeKeys(&to, start, list)
	}
	if err := to.Write(ctx, w.tx, metricsdb.HoursTable); err != nil {
		return nil, err
	}
	return keys, w.at(ctx, "keys written")
}

// wholeDay reports whether the job's hours are those of one day: their sum is
// then the day's, and nobody has to read them back for it.
func (j hoursJob) wholeDay() bool {
	return len(j.starts) == hoursOfDay && j.starts[0].Equal(j.starts[0].Truncate(24*time.Hour)) && j.end().Sub(j.starts[0]) == 24*time.Hour
}

const hoursOfDay = 24

// close writes what hours come to besides their keys, completes their receipts and
// clears their marks. The marks come last, so that a writer with late rows waits
// for a commit and not for a computation.
func (w *hoursWork) close(ctx context.Context, keys map[time.Time]int, b *pgx.Batch) error {
	if err := tally.Resolve(ctx, w.tx, w.numbers.users, w.numbers.names); err != nil { // the event types of apps
		return err
	}
	var totals metricsdb.Totals
	receipts := make([]metricsdb.HourReceipt, len(w.job.starts))
	for i, hour := range w.job.starts {
		for _, start := range metricsdb.Parts(hour) {
			part := w.parts.Part(start)
			part.EncodeTotals(&totals, metricsdb.ByHour, start)
			apps, versions, first := part.Versions()
			metricsdb.QueueVersions(b, apps, versions, first, hour)
		}
		rows, checksum := w.parts.Hour(hour)
		receipts[i] = metricsdb.HourReceipt{Start: hour, Rows: rows, Checksum: checksum.String(), Keys: keys[hour]}
	}
	if err := totals.Write(ctx, w.tx); err != nil {
		return err
	}
	metricsdb.QueueReceipts(b, w.job.kind, receipts)
	if err := w.tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return w.at(ctx, "hours written")
}

// tallyByKey does the job's one hour, which is open already, holding few keys at a
// time: Postgres sorts the rows, on disk if need be. It is for an hour with more
// rows or keys than are held at once.
func (w *hoursWork) tallyByKey(ctx context.Context) error {
	w.parts = tally.NewParts(w.job.kind, w.job.starts, w.numbers.users, w.numbers.names) // what was read in vain is forgotten
	cursor, hour := "hour_of_"+string(w.job.kind), w.job.starts[0]
	if _, err := w.tx.Exec(ctx, "DECLARE "+cursor+" NO SCROLL CURSOR FOR"+w.job.sortedRows()); err != nil {
		return fmt.Errorf("read sorted: %w", err)
	}
	written := map[time.Time]int{}
	for more := true; more; {
		before := w.parts.Rows()
		rows, err := w.tx.Query(ctx, fmt.Sprintf("FETCH %d FROM %s", w.limits.fetch, cursor), pgx.QueryResultFormats{pgx.BinaryFormatCode})
		if err != nil {
			return fmt.Errorf("read sorted: %w", err)
		}
		if err := w.parts.Read(rows, tally.Limits{Rows: math.MaxInt, Keys: math.MaxInt}); err != nil {
			return fmt.Errorf("read sorted: %w", err)
		}
		more = w.parts.Rows()-before == w.limits.fetch
		finished := w.parts.Finished(hour, more)
		for start, list := range finished {
			w.parts.Part(start).SumApps(list)
		}
		keys, err := w.writePages(ctx, finished)
		if err != nil {
			return err
		}
		written[hour] += keys[hour]
	}
	if _, err := w.tx.Exec(ctx, "CLOSE "+cursor); err != nil {
		return err
	}
	return w.close(ctx, written, &pgx.Batch{})
}

// sortedRows is the query of the job's rows in the order of keys, without
// parameters: a cursor takes none.
func (j hoursJob) sortedRows() string {
	quote := func(t time.Time) string { return "'" + t.Format(time.RFC3339) + "'" }
	condition := strings.NewReplacer("$1", quote(j.starts[0]), "$2", quote(j.end())).Replace(` WHERE "timestamp" >= $1 AND "timestamp" < $2`)
	return tally.RowsSQL(j.kind) + condition + tally.KeyOrder(j.kind)
}
