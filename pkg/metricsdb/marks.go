package metricsdb

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// Hour is one hour of one kind.
type Hour struct {
	Kind  event.Kind
	Start time.Time // UTC, on the hour
}

// End returns the end of the hour.
func (h Hour) End() time.Time { return h.Start.Add(time.Hour) }

func (h Hour) String() string { return fmt.Sprintf("%s %s", h.Kind, h.Start.Format(time.RFC3339)) }

// MarkHours returns the statement that marks hours, without parameters, so that
// it can travel in one round trip with the commit. Marks that exist are updated,
// see the package's invariants, and in one order, so that two writers cannot
// wait for each other. It is "" for no hours.
func MarkHours(hours []Hour) string {
	if len(hours) == 0 {
		return ""
	}
	sorted := slices.Clone(hours)
	slices.SortFunc(sorted, func(a, b Hour) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.Kind, b.Kind))
	})
	values := make([]string, len(sorted))
	for i, h := range sorted {
		values[i] = fmt.Sprintf("(to_timestamp(%d), '%s')", h.Start.Unix(), h.Kind)
	}
	return "INSERT INTO hour_marks (time_bucket, metric_type) VALUES " + strings.Join(values, ", ") + `
		ON CONFLICT (time_bucket, metric_type) DO UPDATE SET version = hour_marks.version + 1, marked_at = now()`
}

// MarkRange marks every hour of both kinds from one moment to another.
func MarkRange(ctx context.Context, db DB, from, to time.Time) error {
	var hours []Hour
	for at := from.UTC().Truncate(time.Hour); at.Before(to); at = at.Add(time.Hour) {
		for _, kind := range event.Kinds() {
			hours = append(hours, Hour{kind, at})
		}
	}
	if len(hours) == 0 {
		return nil
	}
	if _, err := db.Exec(ctx, MarkHours(hours)); err != nil {
		return fmt.Errorf("mark hours: %w", err)
	}
	return nil
}
