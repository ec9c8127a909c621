package aggregate

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// Level says how full a table is.
type Level string

// The levels.
const (
	LevelOK      Level = "ok"
	LevelWarning Level = "warning"
	LevelAlert   Level = "alert"
)

// TableState is how many rows and bytes a table has, in the terms of the HTTP
// contract. It is kept in pipeline_status, part "governance", as
// {"tables": [TableState…]}.
type TableState struct {
	Table     string `json:"table"`
	Rows      int64  `json:"rows"`
	Bytes     int64  `json:"bytes"`
	Level     Level  `json:"level"`
	WarningAt int64  `json:"warning_at"`
	AlertAt   int64  `json:"alert_at"`
}

// StatusPart is the row of pipeline_status that holds the table states.
const StatusPart = "governance"

// watcher remembers what was said about the tables, so that a log does not
// repeat each minute what has not changed.
type watcher struct {
	mu     sync.Mutex
	at     time.Time
	levels map[string]Level
}

// countEvery is how often rollups count; retention runs always do.
const countEvery = 5 * time.Minute

// govern counts rows and says so, loudly, where a table grows past its bound.
func (w *work) govern(ctx context.Context) error {
	w.watch.mu.Lock()
	defer w.watch.mu.Unlock()
	if w.run.Kind != Retention && time.Since(w.watch.at) < countEvery {
		return nil
	}
	states, err := w.store.tableStates(ctx, w.now().UTC(), w.cfg.RawRetention)
	if err != nil {
		return err
	}
	if w.watch.levels == nil {
		w.watch.levels = map[string]Level{}
	}
	for i := range states {
		t := &states[i]
		t.WarningAt, t.AlertAt, t.Level = w.cfg.WarnRows, w.cfg.AlertRows, w.cfg.level(t.Rows)
		w.metrics.tables.WithLabelValues(t.Table).Set(float64(t.Rows))
		if t.Level != LevelOK && (w.run.Kind == Retention || w.watch.levels[t.Table] != t.Level) {
			w.logLevel(*t)
		}
		w.watch.levels[t.Table] = t.Level
	}
	w.watch.at = time.Now()
	return w.store.saveStates(ctx, states)
}

func (c Config) level(rows int64) Level {
	switch {
	case rows >= c.AlertRows:
		return LevelAlert
	case rows >= c.WarnRows:
		return LevelWarning
	}
	return LevelOK
}

func (w *work) logLevel(t TableState) {
	level, text := slog.LevelWarn, "aggregate: table nears its bound of rows"
	if t.Level == LevelAlert {
		level, text = slog.LevelError, "ALERT: aggregate: table has reached its bound of rows"
	}
	w.log.Log(context.Background(), level, text, "table", t.Table, "rows", t.Rows, "warning_at", t.WarningAt, "alert_at", t.AlertAt,
		"correlation_id", w.run.CorrelationID)
}

// tableStates counts. Raw rows are not counted one by one: receipts say how
// many each aggregated hour has, and only hours without one, or with a mark, are
// looked into.
func (s *store) tableStates(ctx context.Context, now time.Time, rawRetention time.Duration) ([]TableState, error) {
	var out []TableState
	since, until := now.Add(-rawRetention).Truncate(time.Hour), now.Add(time.Hour) // clocks of senders may be ahead
	for _, kind := range event.Kinds() {
		t := TableState{Table: rawTable(kind)}
		if err := s.pool.QueryRow(ctx, fmt.Sprintf(countRaw, t.Table), kind, since, until).Scan(&t.Rows, &t.Bytes); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	for _, table := range []string{"aggregated_metrics", "aggregated_days", "aggregated_totals"} {
		t := TableState{Table: table}
		if err := s.pool.QueryRow(ctx, fmt.Sprintf(countTable, table)).Scan(&t.Rows, &t.Bytes); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func (s *store) saveStates(ctx context.Context, states []TableState) error {
	body, err := json.Marshal(map[string]any{"tables": states})
	if err != nil {
		return err
	}
	_, err = s.pool.Exec(ctx, `
INSERT INTO pipeline_status (part, body) VALUES ($1, $2::jsonb)
ON CONFLICT (part) DO UPDATE SET body = excluded.body, updated_at = now()`, StatusPart, body)
	return err
}

const (
	countRaw = `
WITH known AS (
    SELECT r.time_bucket, r.source_rows FROM hour_receipts r
     WHERE r.metric_type = $1 AND r.time_bucket >= (SELECT purged_before FROM purge_line)
       AND NOT EXISTS (SELECT FROM hour_marks m WHERE m.metric_type = $1 AND m.time_bucket = r.time_bucket)),
open AS (
    SELECT h FROM generate_series(greatest($2, (SELECT purged_before FROM purge_line)), $3, interval '1 hour') AS h
     WHERE NOT EXISTS (SELECT FROM known k WHERE k.time_bucket = h)
    UNION
    SELECT time_bucket FROM hour_marks WHERE metric_type = $1 AND time_bucket >= (SELECT purged_before FROM purge_line))
SELECT coalesce((SELECT sum(source_rows) FROM known), 0)::bigint
     + coalesce((SELECT sum(n) FROM open, LATERAL (SELECT count(*) AS n FROM %[1]s r
                  WHERE r."timestamp" >= open.h AND r."timestamp" < open.h + interval '1 hour') c), 0)::bigint,
       (SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint FROM pg_inherits WHERE inhparent = '%[1]s'::regclass)`

	countTable = `SELECT count(*), pg_total_relation_size('%[1]s'::regclass) FROM %[1]s`
)
