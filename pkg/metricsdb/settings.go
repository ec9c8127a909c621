package metricsdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lakepulse/lakepulse/pkg/settings"
)

// Setting is a recorded setting: its value, who set it and when.
type Setting struct {
	Name  string
	Value string
	SetBy string
	SetAt time.Time
}

// ListSettings lists the recorded settings.
func ListSettings(ctx context.Context, db DB) ([]Setting, error) {
	var list []Setting
	var s Setting
	err := queryRows(ctx, db, "read settings", `SELECT name, value, set_by, set_at FROM settings ORDER BY name`, nil,
		[]any{&s.Name, &s.Value, &s.SetBy, &s.SetAt}, func() error {
			s.SetAt = s.SetAt.UTC()
			list = append(list, s)
			return nil
		})
	return list, err
}

// ReadSettings reads the recorded settings. What is not recorded says nothing.
func ReadSettings(ctx context.Context, db DB) (settings.Values, error) {
	var v settings.Values
	list, err := ListSettings(ctx, db)
	if err != nil {
		return v, err
	}
	for _, s := range list {
		if err := v.Set(s.Name, s.Value); err != nil {
			return v, fmt.Errorf("recorded setting: %w", err)
		}
	}
	return v, nil
}

// RecordSettings records the values that are not recorded yet and returns what
// is recorded afterwards. Two processes that start together record one of both.
// A role that may only read the settings leaves the recording to another.
func RecordSettings(ctx context.Context, db DB, v settings.Values, by string) (settings.Values, error) {
	recorded, err := ReadSettings(ctx, db)
	if err != nil {
		return v, err
	}
	for _, name := range settings.Names() {
		text := v.Get(name)
		if text == "" || recorded.Get(name) != "" {
			continue
		}
		_, err := db.Exec(ctx, `INSERT INTO settings (name, value, set_by) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, name, text, by)
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == codeInsufficientPrivilege {
			return recorded, nil
		}
		if err != nil {
			return v, fmt.Errorf("record setting %s: %w", name, err)
		}
	}
	return ReadSettings(ctx, db)
}

const codeInsufficientPrivilege = "42501"

// ChangeSetting changes a recorded setting. The values with the change must be
// valid together.
func ChangeSetting(ctx context.Context, db DB, name, text, by string) (before, after settings.Values, err error) {
	if before, err = ReadSettings(ctx, db); err != nil {
		return before, after, err
	}
	before = before.Or(settings.Defaults())
	after = before
	if err := after.Set(name, text); err != nil {
		return before, after, err
	}
	if err := after.Validate(); err != nil {
		return before, after, err
	}
	_, err = db.Exec(ctx, `
INSERT INTO settings (name, value, set_by) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, set_by = excluded.set_by, set_at = now(), changed_at = now()`, name, after.Get(name), by)
	if err != nil {
		return before, after, fmt.Errorf("change setting %s: %w", name, err)
	}
	return before, after, nil
}

// ReadState reads the recorded settings and the purge line.
func ReadState(ctx context.Context, db DB) (settings.State, error) {
	v, err := ReadSettings(ctx, db)
	if err != nil {
		return settings.State{}, err
	}
	line, err := ReadPurgeLine(ctx, db)
	return settings.State{Values: v, PurgedBefore: line.PurgedBefore}, err
}

// SettlesUntil returns until when a change of the raw retention is on its way to
// every process: till then some may still accept events by the old value. The
// zero time when none is.
func SettlesUntil(ctx context.Context, db DB) (time.Time, error) {
	var until *time.Time
	err := db.QueryRow(ctx, `
SELECT changed_at + $2::interval FROM settings WHERE name = $1 AND changed_at + $2::interval > now()
UNION ALL SELECT NULL LIMIT 1`, settings.RawRetention, settleTime).Scan(&until)
	if err != nil {
		return time.Time{}, fmt.Errorf("read when settings changed: %w", err)
	}
	return utc(until), nil
}

// settleTime is longer than any process takes to learn a changed setting.
const settleTime = 5 * time.Minute
