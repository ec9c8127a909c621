package aggregate

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
)

// watcher remembers what was said about the tables, so that a log does not
// repeat each minute what has not changed.
type watcher struct {
	mu     sync.Mutex
	at     time.Time
	levels map[string]metricsdb.TableLevel
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
	states, err := w.store.tableStates(ctx, w.now().UTC(), w.rawRetention)
	if err != nil {
		return err
	}
	if w.watch.levels == nil {
		w.watch.levels = map[string]metricsdb.TableLevel{}
	}
	for i := range states {
		t := &states[i]
		t.WarningAt, t.AlertAt, t.Level = w.cfg.WarnRows, w.cfg.AlertRows, w.cfg.level(t.Rows)
		w.metrics.tables.WithLabelValues(t.Table).Set(float64(t.Rows))
		if t.Level != metricsdb.TableOK && (w.run.Kind == Retention || w.watch.levels[t.Table] != t.Level) {
			w.logLevel(*t)
		}
		w.watch.levels[t.Table] = t.Level
	}
	w.watch.at = time.Now()
	return metricsdb.WriteTableStates(ctx, w.store.pool, states)
}

func (c Config) level(rows int64) metricsdb.TableLevel {
	switch {
	case rows >= c.AlertRows:
		return metricsdb.TableAlert
	case rows >= c.WarnRows:
		return metricsdb.TableWarning
	}
	return metricsdb.TableOK
}

func (w *work) logLevel(t metricsdb.TableState) {
	level, text := slog.LevelWarn, "aggregate: table nears its bound of rows"
	if t.Level == metricsdb.TableAlert {
		level, text = slog.LevelError, "ALERT: aggregate: table has reached its bound of rows"
	}
	w.log.Log(context.Background(), level, text, "table", t.Table, "rows", t.Rows, "warning_at", t.WarningAt, "alert_at", t.AlertAt,
		"correlation_id", w.run.CorrelationID)
}

// tableStates counts. Raw rows are not counted one by one: receipts say how
// many each aggregated hour has, and only hours without one, or with a mark, are
// looked into.
func (s *store) tableStates(ctx context.Context, now time.Time, rawRetention time.Duration) ([]metricsdb.TableState, error) {
	var out []metricsdb.TableState
	since, until := now.Add(-rawRetention).Truncate(time.Hour), now.Add(time.Hour) // clocks of senders may be ahead
	for _, kind := range event.Kinds() {
		t := metricsdb.TableState{Table: metricsdb.RawTable(kind)}
		var err error
		if t.Rows, t.Bytes, err = metricsdb.CountRaw(ctx, s.pool, kind, since, until); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	for _, table := range metricsdb.AggregateTables() {
		t := metricsdb.TableState{Table: table}
		var err error
		if t.Rows, t.Bytes, err = metricsdb.CountTable(ctx, s.pool, table); err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}
