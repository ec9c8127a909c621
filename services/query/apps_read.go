package query

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
)

// listApps returns the apps of the view by name.
func (v *view) listApps(ctx context.Context, tx pgx.Tx) ([]api.AppSummary, error) {
	found := appSightings{}
	for _, kind := range event.Kinds() {
		if err := found.add(ctx, tx, kind, v.hourly(kind)); err != nil {
			return nil, err
		}
	}
	if err := found.countEndpoints(ctx, tx, v.whole(event.KindPerformance)); err != nil {
		return nil, err
	}
	if err := found.refine(ctx, tx, v.cover.purged); err != nil {
		return nil, err
	}
	return found.list(), nil
}

// appSightings is what is known of each app.
type appSightings map[string]*appSighting

type appSighting struct {
	api.AppSummary

	byHour bool // LastSeen is the start of the last hour the app was seen in
}

// add counts the rows of one kind per app, and when the last was.
func (a appSightings) add(ctx context.Context, tx pgx.Tx, kind event.Kind, r reading) error {
	var st statement
	some := selectApps(&st, kind, r)
	if len(r.raw) > 0 {
		if some {
			st.add(` UNION ALL `)
		}
		st.add(`SELECT false, app, count(*), max("timestamp") FROM ` + rawTable(kind) + ` WHERE `).within(r.raw).add(` GROUP BY app`)
	}
	return collect(ctx, tx, &st, "list apps", func(rows pgx.Rows) error {
		var byHour bool
		var app string
		var n int64
		var seen time.Time
		if err := rows.Scan(&byHour, &app, &n, &seen); err != nil {
			return err
		}
		sighting := a[app]
		if sighting == nil {
			sighting = &appSighting{AppSummary: api.AppSummary{App: app}}
			a[app] = sighting
		}
		if kind == event.KindPerformance {
			sighting.Requests += n
		} else {
			sighting.Events += n
		}
		if seen.After(sighting.LastSeen) {
			sighting.LastSeen, sighting.byHour = seen.UTC(), byHour
		}
		return nil
	})
}

// countEndpoints counts the distinct endpoints of each app.
func (a appSightings) countEndpoints(ctx context.Context, tx pgx.Tx, r reading) error {
	var st statement
	st.add(`SELECT app, count(*) FROM (`)
	some := selectEndpoints(&st, r)
	if len(r.raw) > 0 {
		if some {
			st.add(` UNION `)
		}
		st.add(`SELECT DISTINCT app, endpoint, method FROM performance_metrics WHERE `).within(r.raw)
	}
	if some && len(r.raw) == 0 {
		st.add(` UNION SELECT '', '', '' WHERE false`) // UNION is what makes them distinct
	}
	st.add(`) AS seen GROUP BY app`)
	return collect(ctx, tx, &st, "count endpoints", func(rows pgx.Rows) error {
		var app string
		var n int64
		err := rows.Scan(&app, &n)
		if sighting := a[app]; sighting != nil {
			sighting.Endpoints = n
		}
		return err
	})
}

// refine finds the very moment apps were last seen where only the hour is known
// and its rows are still there.
func (a appSightings) refine(ctx context.Context, tx pgx.Tx, purged time.Time) error {
	var names []string
	var hours []time.Time
	for app, sighting := range a {
		if sighting.byHour && !sighting.LastSeen.Before(purged) {
			names, hours = append(names, app), append(hours, sighting.LastSeen)
		}
	}
	if len(names) == 0 {
		return nil
	}
	last := func(table string) string {
		return `(SELECT max(r."timestamp") FROM ` + table + ` r WHERE r.app = a.app
			AND r."timestamp" >= a.hour AND r."timestamp" < a.hour + interval '1 hour')`
	}
	var st statement
	st.add(`SELECT a.app, greatest(`+last(rawTable(event.KindPerformance))+`, `+last(rawTable(event.KindUsage))+`)
		FROM unnest(?::text[], ?::timestamptz[]) AS a(app, hour)`, names, hours)
	return collect(ctx, tx, &st, "find when apps were last seen", func(rows pgx.Rows) error {
		var app string
		var seen *time.Time
		if err := rows.Scan(&app, &seen); err != nil {
			return err
		}
		if seen != nil {
			a[app].LastSeen = seen.UTC()
		}
		return nil
	})
}

func (a appSightings) list() []api.AppSummary {
	list := make([]api.AppSummary, 0, len(a))
	for sighting := range maps.Values(a) {
		list = append(list, sighting.AppSummary)
	}
	slices.SortFunc(list, func(a, b api.AppSummary) int { return cmp.Compare(a.App, b.App) })
	return list
}
