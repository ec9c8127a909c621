package query

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api/apitest"
	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// moment is when most tests happen: a little after an hour.
var moment = time.Date(2026, 3, 18, 14, 7, 30, 0, time.UTC)

// bundle is a query service on a database of its own, called as HTTP.
type bundle struct {
	t       *testing.T
	pool    *pgxpool.Pool
	clock   *testkit.Clock
	caller  auth.Caller
	handler http.Handler
	service *Service
	small   *pgxpool.Pool // of counts
}

type option func(*Config)

func setup(t *testing.T, options ...option) *bundle {
	t.Helper()
	return setupOn(t, testkit.Database(t), options...)
}

func setupOn(t *testing.T, dsn string, options ...option) *bundle {
	t.Helper()
	cfg := postgres.DefaultConfig()
	cfg.URL = dsn
	pool, err := postgres.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	cfg.MaxConns = 3
	small, err := postgres.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(small.Close)
	b := &bundle{t: t, pool: pool, small: small, clock: testkit.NewClock(moment),
		caller: auth.Caller{Kind: auth.KindUser, UserID: "admin@example.com", Admin: true}}
	config := DefaultConfig()
	for _, o := range options {
		o(&config)
	}
	s, err := New(Params{Pool: pool, Counts: small, Log: testkit.Logger(t), Clock: b.clock.Now, Config: config})
	require.NoError(t, err)
	b.service = s
	b.handler = apitest.Handler(t, httpapi.NewHandler(httpapi.HandlerParams{
		Routes: s.Routes(), Auth: b, Log: testkit.Logger(t),
	}))
	return b
}

// Authenticate makes every caller the bundle's.
func (b *bundle) Authenticate(*http.Request) (auth.Caller, error) { return b.caller, nil }

// get asks for a path with parameters in pairs and returns status and body.
func (b *bundle) get(path string, pairs ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Add(pairs[i], pairs[i+1])
	}
	rec := httptest.NewRecorder()
	b.handler.ServeHTTP(rec, httptest.NewRequestWithContext(b.t.Context(), http.MethodGet, path+"?"+q.Encode(), nil))
	return rec
}

// ask is get of something that must be answered.
func ask[T any](b *bundle, path string, pairs ...string) T {
	b.t.Helper()
	rec := b.get(path, pairs...)
	require.Equal(b.t, http.StatusOK, rec.Code, rec.Body.String())
	var v T
	require.NoError(b.t, json.Unmarshal(rec.Body.Bytes(), &v))
	return v
}

// refused is get of something that must not be answered.
func (b *bundle) refused(status int, path string, pairs ...string) map[string]any {
	b.t.Helper()
	rec := b.get(path, pairs...)
	require.Equal(b.t, status, rec.Code, rec.Body.String())
	var v map[string]any
	require.NoError(b.t, json.Unmarshal(rec.Body.Bytes(), &v))
	return v
}

// exec runs a statement as somebody else would.
func (b *bundle) exec(sql string, args ...any) {
	b.t.Helper()
	_, err := b.pool.Exec(b.t.Context(), sql, args...)
	require.NoError(b.t, err)
}

// requests stores performance records, with what is not said filled in.
func (b *bundle) requests(list ...event.Performance) {
	b.t.Helper()
	rows := make([][]any, len(list))
	for i, p := range list {
		p.App, p.Endpoint, p.Method = cmp.Or(p.App, "shop"), cmp.Or(p.Endpoint, "/orders"), cmp.Or(p.Method, "GET")
		if p.StatusCode == 0 {
			p.StatusCode = 200
		}
		rows[i] = []any{uuid.New(), p.Timestamp, p.Timestamp, p.App, p.Endpoint, p.Method, p.StatusCode, p.ResponseTimeMS,
			null(p.UserID), null(p.ErrorType), null(p.AppVersion), null(p.InteractionID)}
		b.partition("performance_metrics", p.Timestamp)
	}
	b.copyIn("performance_metrics", []string{"id", "timestamp", "received_at", "app", "endpoint", "method", "status_code",
		"response_time_ms", "user_id", "error_type", "app_version", "interaction_id"}, rows)
}

// events stores usage events, with what is not said filled in.
func (b *bundle) events(list ...event.Usage) {
	b.t.Helper()
	rows := make([][]any, len(list))
	for i, u := range list {
		rows[i] = []any{uuid.New(), u.Timestamp, u.Timestamp, cmp.Or(u.App, "shop"), cmp.Or(u.EventType, event.TypePageView),
			cmp.Or(u.UserID, "ada"), u.Success, null(u.PageName), null(u.ElementID), null(u.SessionID), null(u.InteractionID), u.Metadata}
		b.partition("usage_events", u.Timestamp)
	}
	b.copyIn("usage_events", []string{"id", "timestamp", "received_at", "app", "event_type", "user_id", "success", "page_name",
		"element_id", "session_id", "interaction_id", "metadata"}, rows)
}

func (b *bundle) partition(table string, at time.Time) {
	b.t.Helper()
	b.exec(`SELECT ensure_raw_partition($1, ($2::timestamptz AT TIME ZONE 'UTC')::date)`, table, at)
}

func (b *bundle) copyIn(table string, columns []string, rows [][]any) {
	b.t.Helper()
	_, err := b.pool.CopyFrom(context.WithoutCancel(b.t.Context()), pgx.Identifier{table}, columns, pgx.CopyFromRows(rows))
	require.NoError(b.t, err)
}

// storedThrough says that everything published before at is stored.
func (b *bundle) storedThrough(at time.Time) {
	b.t.Helper()
	b.exec(`INSERT INTO stream_positions (stream, incarnation, sequence, stored_through) VALUES ('METRICS', $1, 1, $1)
		ON CONFLICT (stream) DO UPDATE SET stored_through = excluded.stored_through`, at)
}

func null(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}

// before returns the time d before the moment.
func before(d time.Duration) time.Time { return moment.Add(-d) }
