package aggregate

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/services/aggregate/tally"
)

// sumDay sums up the hours of one UTC day and kind, unless that is done, or not
// all of them are aggregated. It reports whether it did.
func (s *store) sumDay(ctx context.Context, tx pgx.Tx, d metricsdb.Day, runID any) (bool, error) {
	if ready, err := metricsdb.DayReady(ctx, tx, d); err != nil || !ready {
		return false, err
	}
	day := tally.New(d.Kind, tally.FinalNumbers(), tally.FinalNumbers())
	if err := metricsdb.ReadDayKeys(ctx, tx, d, day.AddKey); err != nil {
		return false, fmt.Errorf("read the day's hours: %w", err)
	}
	if err := metricsdb.ReadDayTotals(ctx, tx, d, day.AddApp); err != nil {
		return false, fmt.Errorf("read the day's hours: %w", err)
	}
	if err := s.at(ctx, "day read"); err != nil {
		return false, err
	}
	b := &pgx.Batch{}
	metricsdb.QueueClearDays(b, d.Kind, []time.Time{d.Start})
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return false, fmt.Errorf("clear the day: %w", err)
	}
	b = &pgx.Batch{}
	if err := writeDay(ctx, tx, day, nil, b, d.Start, runID); err != nil {
		return false, err
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return false, fmt.Errorf("write the day: %w", err)
	}
	return true, s.at(ctx, "day written")
}

// writeDay writes the keys and apps of a day that has been cleared, and queues its
// receipt. Keys without numbers get them.
func writeDay(ctx context.Context, tx pgx.Tx, day *tally.Tally, keys *tally.Numbered, b *pgx.Batch, start time.Time, runID any) error {
	sums := day.Sums()
	if keys != nil {
		if err := keys.Number(ctx, tx, day.Kind, sums); err != nil {
			return err
		}
	}
	var pages metricsdb.Pages
	day.EncodeKeys(&pages, start, sums)
	if err := pages.Write(ctx, tx, metricsdb.DaysTable); err != nil {
		return err
	}
	var totals metricsdb.Totals
	day.EncodeTotals(&totals, metricsdb.ByDay, start)
	if err := totals.Write(ctx, tx); err != nil {
		return err
	}
	metricsdb.QueueDayReceipt(b, metricsdb.Day{Kind: day.Kind, Start: start}, day.Rows, runID)
	return nil
}
