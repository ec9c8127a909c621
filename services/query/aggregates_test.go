package query

import (
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/stats"
)

// madeSum is what a test's aggregate of a key or an app is made of.
type madeSum struct {
	n         int64
	histogram stats.Histogram
	total     float64
	users     stats.Users
	pages     map[string]uint64
	elements  map[string]uint64
}

func (s *madeSum) encode(b *bundle, tx pgx.Tx, skew int) metricsdb.Aggregate {
	a := metricsdb.Aggregate{Samples: s.n + int64(skew), Sum: s.total, Min: s.histogram.Min(), Max: s.histogram.Max(),
		Users: stats.AppendUsers(nil, s.users.Numbers()), Pages: b.encodeNames(tx, s.pages), Elements: b.encodeNames(tx, s.elements)}
	if n := s.histogram.Count(); n > 0 {
		bucket, _ := s.histogram.Rank(1)
		if skew > 0 {
			s.histogram.AddCount(bucket, uint64(skew), a.Min, a.Max)
		}
		a.Histogram, a.Statuses = s.histogram.Append(nil), stats.AppendCounts(nil, []stats.Count{{Item: 200, N: 1}})
	}
	return a
}

func (b *bundle) encodeNames(tx pgx.Tx, counts map[string]uint64) []byte {
	b.t.Helper()
	var data []byte
	for name, n := range counts {
		item := uint32(0)
		if name != "(other)" {
			numbers, err := metricsdb.NumberNames(b.t.Context(), tx, []string{name})
			require.NoError(b.t, err)
			item = uint32(numbers[0])
		}
		data = stats.AppendCounts(data, []stats.Count{{Item: item, N: n}})
	}
	return data
}

// settle aggregates the requests of an hour as of now, with a count that is off
// by skew: so an answer shows where it comes from.
func (b *bundle) settle(hour time.Time, skew int) {
	b.t.Helper()
	b.receipt(event.KindPerformance, hour, 1)
	b.receipt(event.KindUsage, hour, 0)
	b.writeAggregates(event.KindPerformance, hour, skew, `
SELECT app, endpoint, method, '', coalesce(user_id, ''), response_time_ms, NULL, NULL FROM performance_metrics`)
}

// settleEvents aggregates the usage events of an hour as of now.
func (b *bundle) settleEvents(hour time.Time) {
	b.t.Helper()
	var n int64
	require.NoError(b.t, b.pool.QueryRow(b.t.Context(), `SELECT count(*) FROM usage_events WHERE "timestamp" >= $1 AND "timestamp" < $2`,
		hour, hour.Add(time.Hour)).Scan(&n))
	b.receipt(event.KindUsage, hour, n)
	b.writeAggregates(event.KindUsage, hour, 0, `
SELECT app, '', '', event_type, user_id, NULL::float8, page_name, element_id FROM usage_events`)
}

func (b *bundle) receipt(kind event.Kind, hour time.Time, rows int64) {
	b.t.Helper()
	b.exec(`INSERT INTO hour_receipts (metric_type, time_bucket, source_rows) VALUES ($1, $2, $3)
		ON CONFLICT (metric_type, time_bucket) DO UPDATE SET source_rows = excluded.source_rows, aggregated_at = now()`, kind, hour, rows)
}

func (b *bundle) writeAggregates(kind event.Kind, hour time.Time, skew int, sql string) {
	b.t.Helper()
	ctx := b.t.Context()
	require.NoError(b.t, pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
		keys, apps := map[metricsdb.Key]*madeSum{}, map[string]*madeSum{}
		rows, err := tx.Query(ctx, sql+` WHERE "timestamp" >= $1 AND "timestamp" < $2`, hour, hour.Add(time.Hour))
		require.NoError(b.t, err)
		type row struct {
			metricsdb.Key

			user          string
			ms            *float64
			page, element *string
		}
		list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (v row, err error) {
			v.Kind = kind
			err = r.Scan(&v.App, &v.Path, &v.Method, &v.EventType, &v.user, &v.ms, &v.page, &v.element)
			return v, err
		})
		require.NoError(b.t, err)
		for _, v := range list {
			if keys[v.Key] == nil {
				keys[v.Key] = &madeSum{pages: map[string]uint64{}, elements: map[string]uint64{}}
			}
			if apps[v.App] == nil {
				apps[v.App] = &madeSum{}
			}
			for _, s := range []*madeSum{keys[v.Key], apps[v.App]} {
				s.n++
				if v.user != "" {
					numbers, err := metricsdb.NumberUsers(ctx, tx, []string{v.user})
					require.NoError(b.t, err)
					s.users.Add(numbers...)
				}
				if v.ms != nil {
					s.histogram.Add(*v.ms)
					s.total += *v.ms
				}
			}
			if v.page != nil {
				keys[v.Key].pages[*v.page]++
			}
			if v.element != nil {
				keys[v.Key].elements[*v.element]++
			}
		}
		var pages metricsdb.Pages
		var totals metricsdb.Totals
		byApp := map[string][]metricsdb.Aggregate{}
		for key, s := range keys {
			numbers, err := metricsdb.NumberKeys(ctx, tx, kind, []metricsdb.Key{key})
			require.NoError(b.t, err)
			a := s.encode(b, tx, skew)
			a.Key = numbers[0]
			byApp[key.App] = append(byApp[key.App], a)
		}
		for app, list := range byApp {
			pages.Add(kind, hour, app, 0, list)
		}
		for app, s := range apps {
			totals.Add(metricsdb.ByHour, kind, hour, app, s.encode(b, tx, skew))
		}
		require.NoError(b.t, pages.Write(ctx, tx, metricsdb.HoursTable))
		return totals.Write(ctx, tx)
	}))
}
