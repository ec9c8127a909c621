package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
)

// store puts the demo's rows where the writer would.
type store struct{ pool *pgxpool.Pool }

// open makes sure that there is no history a demo could damage, and takes the
// purge line back to before the past that is to come. It does so behind the
// gate, as whoever moves the line.
func (s *store) open(ctx context.Context, first time.Time) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := metricsdb.CloseGate(ctx, tx, 0); err != nil {
			return err
		}
		var demo, history bool
		line, err := metricsdb.ReadPurgeLine(ctx, tx)
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, findHistory, appNames(), first, line.PurgedBefore).Scan(&demo, &history); err != nil {
			return err
		}
		switch {
		case demo:
			return fault.New(fault.Conflict, "There is a demo in this installation already")
		case history:
			return fault.New(fault.Conflict, "This installation has history; a demo needs one without")
		}
		return metricsdb.LowerPurgeLine(ctx, tx, first)
	})
}

// put stores a day: rows, then the marks of their hours, as a writer does.
func (s *store) put(ctx context.Context, day time.Time, b batch) error {
	if err := metricsdb.EnsurePartitions(ctx, s.pool, day, day); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := metricsdb.EnterGate(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"performance_metrics"}, requestColumns, copyRequests(b.requests)); err != nil {
			return fmt.Errorf("requests: %w", err)
		}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"usage_events"}, eventColumns, copyEvents(b.events)); err != nil {
			return fmt.Errorf("events: %w", err)
		}
		return metricsdb.MarkRange(ctx, tx, day, day.Add(24*time.Hour))
	})
}

var requestColumns = []string{"id", "timestamp", "received_at", "app", "endpoint", "method", "status_code", "response_time_ms", "seq",
	"instance", "user_id", "error_type", "app_version", "session_id", "interaction_id", "trace_id"}

func copyRequests(rows []event.Performance) pgx.CopyFromSource {
	values := make([]any, len(requestColumns))
	return pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
		p := &rows[i]
		values = append(values[:0], p.ID, p.Timestamp, p.ReceivedAt, p.App, p.Endpoint, p.Method, int16(p.StatusCode), // < 600
			p.ResponseTimeMS, p.Seq, text(p.Instance), text(p.UserID), text(p.ErrorType), text(p.AppVersion), text(p.SessionID),
			text(p.InteractionID), text(p.TraceID))
		return values, nil
	})
}

var eventColumns = []string{"id", "timestamp", "received_at", "app", "event_type", "user_id", "success", "seq", "page_name", "element_id",
	"app_version", "session_id", "interaction_id"}

func copyEvents(rows []event.Usage) pgx.CopyFromSource {
	values := make([]any, len(eventColumns))
	return pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
		u := &rows[i]
		values = append(values[:0], u.ID, u.Timestamp, u.ReceivedAt, u.App, u.EventType, u.UserID, u.Success, u.Seq, text(u.PageName),
			text(u.ElementID), text(u.AppVersion), text(u.SessionID), text(u.InteractionID))
		return values, nil
	})
}

// text is NULL for what is not known.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

const (
	// What the product has measured of itself since it was started is no history:
	// it lies above the past, or is one of the demo's days without harm.
	findHistory = `
SELECT EXISTS (SELECT FROM aggregate_totals WHERE app = ANY($1))
       OR EXISTS (SELECT FROM performance_metrics WHERE app = ANY($1)) OR EXISTS (SELECT FROM usage_events WHERE app = ANY($1)),
       EXISTS (SELECT FROM aggregate_totals WHERE starts_at < $3)
       OR EXISTS (SELECT FROM performance_metrics WHERE "timestamp" < $3)
       OR EXISTS (SELECT FROM usage_events WHERE "timestamp" < $3)
       OR EXISTS (SELECT FROM aggregate_totals WHERE starts_at < $2)`
)
