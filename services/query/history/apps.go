package history

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/services/query/snapshot"
)

// ListApps returns the apps of the view by name, and apart from them Lakepulse's
// own, nil where it has recorded nothing.
func (v *View) ListApps(ctx context.Context, tx pgx.Tx) ([]api.AppSummary, *api.AppSummary, error) {
	found := appsSeen{}
	for _, kind := range event.Kinds() {
		if err := found.add(ctx, tx, kind, v.planHours(kind)); err != nil {
			return nil, nil, err
		}
	}
	if err := found.countEndpoints(ctx, tx, v.PlanWhole(event.KindPerformance)); err != nil {
		return nil, nil, err
	}
	if err := found.readLastSeen(ctx, tx, v.coverage.purged); err != nil {
		return nil, nil, err
	}
	var own *api.AppSummary
	if seen := found[event.OwnApp]; seen != nil {
		own = &seen.AppSummary
		delete(found, event.OwnApp)
	}
	return found.list(), own, nil
}

// appsSeen are summaries by app.
type appsSeen map[string]*appSeen

type appSeen struct {
	api.AppSummary

	byHour bool // LastSeen is the start of an hour, the row itself was not read
}

// add counts the rows of one kind per app and notes the time of the last.
func (a appsSeen) add(ctx context.Context, tx pgx.Tx, kind event.Kind, r Plan) error {
	var st snapshot.Statement
	some := selectApps(&st, kind, r)
	if len(r.raw) > 0 {
		if some {
			st.Add(` UNION ALL `)
		}
		st.Add(`SELECT false, app, count(*), max("timestamp") FROM ` + snapshot.RawTable(kind) + ` WHERE `).Within(r.raw).Add(` GROUP BY app`)
	}
	return snapshot.Collect(ctx, tx, &st, "list apps", func(rows pgx.Rows) error {
		var byHour bool
		var app string
		var n int64
		var seen time.Time
		if err := rows.Scan(&byHour, &app, &n, &seen); err != nil {
			return err
		}
		sighting := a[app]
		if sighting == nil {
			sighting = &appSeen{AppSummary: api.AppSummary{App: app}}
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
func (a appsSeen) countEndpoints(ctx context.Context, tx pgx.Tx, r Plan) error {
	var st snapshot.Statement
	st.Add(`SELECT app, count(*) FROM (`)
	some := selectEndpoints(&st, r)
	if len(r.raw) > 0 {
		if some {
			st.Add(` UNION `)
		}
		st.Add(`SELECT DISTINCT app, endpoint, method FROM performance_metrics WHERE `).Within(r.raw)
	}
	if some && len(r.raw) == 0 {
		st.Add(` UNION SELECT '', '', '' WHERE false`) // UNION is what makes them distinct
	}
	st.Add(`) AS seen GROUP BY app`)
	return snapshot.Collect(ctx, tx, &st, "count endpoints", func(rows pgx.Rows) error {
		var app string
		var n int64
		err := rows.Scan(&app, &n)
		if sighting := a[app]; sighting != nil {
			sighting.Endpoints = n
		}
		return err
	})
}

// readLastSeen reads the time of an app's last row where only its hour is known and
// the rows of that hour still exist.
func (a appsSeen) readLastSeen(ctx context.Context, tx pgx.Tx, purged time.Time) error {
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
	var st snapshot.Statement
	st.Add(`SELECT a.app, greatest(`+last(snapshot.RawTable(event.KindPerformance))+`, `+last(snapshot.RawTable(event.KindUsage))+`)
		FROM unnest(?::text[], ?::timestamptz[]) AS a(app, hour)`, names, hours)
	return snapshot.Collect(ctx, tx, &st, "find when apps were last seen", func(rows pgx.Rows) error {
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

func (a appsSeen) list() []api.AppSummary {
	list := make([]api.AppSummary, 0, len(a))
	for sighting := range maps.Values(a) {
		list = append(list, sighting.AppSummary)
	}
	slices.SortFunc(list, func(a, b api.AppSummary) int { return cmp.Compare(a.App, b.App) })
	return list
}
