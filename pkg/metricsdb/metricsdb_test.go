package metricsdb_test

import (
	"context"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var moment = time.Date(2026, 3, 18, 14, 0, 0, 0, time.UTC)

func setup(t *testing.T) *pgxpool.Pool {
	t.Helper()
	cfg := postgres.DefaultConfig()
	cfg.URL = testkit.Database(t)
	pool, err := postgres.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func TestPipelineStatus(t *testing.T) {
	t.Parallel()

	t.Run("is read as it was written", func(t *testing.T) {
		t.Parallel()
		pool := setup(t)
		writer := metricsdb.WriterStatus{Instance: "a", Version: "1.2", StreamMessages: 3, StreamBytes: 4, LagMessages: 5, LagSeconds: 6.5,
			StoredThrough: moment, StoredPerSecond: 7.5, StoredTotal: 8, DuplicatesTotal: 9, RedeliveredTotal: 10, SummarisedTotal: 11,
			DeadTotal: 12, DeadLetters: 13, GapMessages: 14, Trouble: "none"}
		letters := metricsdb.DeadLetters{Count: 2, Letters: []metricsdb.DeadLetter{{Sequence: 7, App: "shop", Kind: event.KindUsage, Reason: "too long",
			FirstSeen: moment, CodeVersion: "1.2", OriginalSubject: "metrics.usage.shop", OriginalSequence: 99, SchemaVersion: 1, Bytes: 40,
			Headers: map[string][]string{"Lakepulse-Schema": {"1"}}, Events: 1, Content: []byte(`[{}]`), Raw: []byte{0, 255}}}}
		tables := []metricsdb.TableState{{Table: "usage_events", Rows: 1, Bytes: 2, Level: metricsdb.TableWarning, WarningAt: 1, AlertAt: 3}}
		require.NoError(t, metricsdb.WriteWriterStatus(t.Context(), pool, writer))
		require.NoError(t, metricsdb.WriteDeadLetters(t.Context(), pool, letters))
		require.NoError(t, metricsdb.WriteTableStates(t.Context(), pool, tables))

		got, err := metricsdb.ReadPipelineStatus(t.Context(), pool)
		require.NoError(t, err)
		require.Len(t, got.Writers, 1)
		require.Equal(t, writer, got.Writers[0].WriterStatus)
		require.WithinDuration(t, time.Now(), got.Writers[0].At, time.Hour)
		require.Equal(t, letters, got.DeadLetters)
		require.Equal(t, tables, got.Tables)
		require.Empty(t, got.Unreadable)
	})

	t.Run("does not depend on what an event contains", func(t *testing.T) {
		t.Parallel()
		pool := setup(t)
		for _, content := range []string{`[{"metadata":{"x":1e-200000}}]`, `[{"metadata":{"x":"\u0000"}}]`, "[\"\x00\xff\"]"} {
			letters := metricsdb.DeadLetters{Count: 1, Letters: []metricsdb.DeadLetter{{Sequence: 1, Reason: "NUL \x00 and \xff", App: "a\x00b",
				Content: []byte(content)}}}
			require.NoError(t, metricsdb.WriteDeadLetters(t.Context(), pool, letters))
			got, err := metricsdb.ReadPipelineStatus(t.Context(), pool)
			require.NoError(t, err)
			require.Equal(t, content, string(got.DeadLetters.Letters[0].Content))
		}
	})

	t.Run("of another version is named and stops nothing", func(t *testing.T) {
		t.Parallel()
		pool := setup(t)
		_, err := pool.Exec(t.Context(), `INSERT INTO pipeline_status (part, body) VALUES ('writer/old', '{"stored_total":"many"}'), ('later part', '[]')`)
		require.NoError(t, err)
		require.NoError(t, metricsdb.WriteWriterStatus(t.Context(), pool, metricsdb.WriterStatus{Instance: "new"}))
		got, err := metricsdb.ReadPipelineStatus(t.Context(), pool)
		require.NoError(t, err)
		require.Equal(t, []string{"writer/old"}, got.Unreadable)
		require.Len(t, got.Writers, 1)
	})

	t.Run("forgets the dead letters", func(t *testing.T) {
		t.Parallel()
		pool := setup(t)
		require.NoError(t, metricsdb.WriteDeadLetters(t.Context(), pool, metricsdb.DeadLetters{Count: 3}))
		require.NoError(t, metricsdb.ForgetDeadLetters(t.Context(), pool))
		got, err := metricsdb.ReadPipelineStatus(t.Context(), pool)
		require.NoError(t, err)
		require.Zero(t, got.DeadLetters.Count)
	})
}

// TestStatusMembers holds the names of the document in the database: other
// versions of this program read them.
func TestStatusMembers(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(metricsdb.WriterStatus{Trouble: "x"})
	require.NoError(t, err)
	var members map[string]any
	require.NoError(t, json.Unmarshal(text, &members))
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	require.ElementsMatch(t, []string{"instance", "version", "stream_messages", "stream_bytes", "lag_messages", "lag_seconds", "stored_through",
		"stored_per_second", "stored_total", "duplicates_total", "redelivered_total", "summarised_total", "dead_total", "gap_messages", "dead_letters", "trouble"}, names)
}

func TestPosition(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	write := func(incarnation time.Time, sequence uint64, through time.Time) (uint64, time.Time) {
		t.Helper()
		require.NoError(t, metricsdb.WritePosition(t.Context(), pool, metricsdb.Position{Stream: stream.Name, Incarnation: incarnation,
			Sequence: sequence, StoredThrough: through}))
		p, found, err := metricsdb.ReadPosition(t.Context(), pool, stream.Name)
		require.NoError(t, err)
		require.True(t, found)
		return p.Sequence, p.StoredThrough
	}
	_, found, err := metricsdb.ReadPosition(t.Context(), pool, stream.Name)
	require.NoError(t, err)
	require.False(t, found)

	seq, at := write(moment, 10, moment.Add(time.Minute))
	require.EqualValues(t, 10, seq)
	seq, at = write(moment, 9, moment.Add(2*time.Minute))
	require.EqualValues(t, 10, seq, "a sequence does not go back")
	require.Equal(t, moment.Add(2*time.Minute), at)
	seq, at = write(moment, 11, moment)
	require.EqualValues(t, 11, seq)
	require.Equal(t, moment.Add(2*time.Minute), at, "nor does the time")
	seq, at = write(moment.Add(time.Hour), 1, moment)
	require.EqualValues(t, 1, seq, "of another stream it starts over")
	require.Equal(t, moment, at)
	through, err := metricsdb.ReadStoredThrough(t.Context(), pool)
	require.NoError(t, err)
	require.Equal(t, moment, through)
}

func TestLedger(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	r := stream.LedgerReport{ID: uuid.New(), At: moment, Source: "ingest/a", Entries: []stream.LedgerEntry{
		{App: "shop", Kind: event.KindUsage, Outcome: stream.OutcomeAccepted, Events: 5},
		{App: "shop", Kind: event.KindUsage, Outcome: stream.OutcomeRefused, Reason: "timestamp", Events: 2},
		{App: "desk", Kind: event.KindUsage, Outcome: stream.OutcomeRefused, Reason: "timestamp", Events: 1},
	}}
	for range 2 {
		require.NoError(t, metricsdb.StoreLedgerReport(t.Context(), pool, r), "storing a report twice changes nothing")
	}
	var got []metricsdb.LedgerCount
	require.NoError(t, metricsdb.CountLedger(t.Context(), pool, moment.Add(-time.Hour), moment.Add(time.Second),
		func(c metricsdb.LedgerCount) { got = append(got, c) }))
	require.ElementsMatch(t, []metricsdb.LedgerCount{{Outcome: stream.OutcomeAccepted, Events: 5},
		{Outcome: stream.OutcomeRefused, Reason: "timestamp", Events: 3}}, got)

	t.Run("a sum that no integer holds is the largest one", func(t *testing.T) {
		for range 2 {
			require.NoError(t, metricsdb.StoreLedgerReport(t.Context(), pool, stream.LedgerReport{
				ID: uuid.New(), At: moment, Source: "ingest/a",
				Entries: []stream.LedgerEntry{{App: "shop", Kind: event.KindUsage, Outcome: stream.OutcomeDropped, Events: math.MaxInt64}},
			}))
		}
		var dropped metricsdb.LedgerCount
		require.NoError(t, metricsdb.CountLedger(t.Context(), pool, moment.Add(-time.Hour), moment, func(c metricsdb.LedgerCount) {
			if c.Outcome == stream.OutcomeDropped {
				dropped = c
			}
		}))
		require.Equal(t, int64(math.MaxInt64), dropped.Events)
		require.Equal(t, int64(math.MaxInt64), dropped.Recent)
		require.Equal(t, int64(math.MaxInt64), stream.AddCounts(math.MaxInt64, 1))
	})
}

func TestPurgeLine(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	line, err := metricsdb.ReadPurgeLine(t.Context(), pool)
	require.NoError(t, err)
	require.True(t, line.PurgedBefore.IsZero())

	require.NoError(t, metricsdb.MarkRange(t.Context(), pool, moment, moment.Add(2*time.Hour)))
	require.NoError(t, metricsdb.HoldPurgeLine(t.Context(), pool, "a writer"))
	line, err = metricsdb.ReadPurgeLine(t.Context(), pool)
	require.NoError(t, err)
	require.Equal(t, "a writer", line.HeldBy)

	require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		require.NoError(t, metricsdb.CloseGate(t.Context(), tx, time.Second))
		return metricsdb.MovePurgeLine(t.Context(), tx, moment.Add(time.Hour))
	}))
	line, err = metricsdb.ReadPurgeLine(t.Context(), pool)
	require.NoError(t, err)
	require.Equal(t, metricsdb.PurgeLine{PurgedBefore: moment.Add(time.Hour)}, line)
	var marks int
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM hour_marks`).Scan(&marks))
	require.Equal(t, 2, marks, "of the hour above the line, for both kinds")

	t.Run("the gate keeps writers and purges apart", func(t *testing.T) {
		writer, err := pool.Begin(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, writer.Rollback(context.WithoutCancel(t.Context()))) }()
		require.NoError(t, metricsdb.EnterGate(t.Context(), writer))
		err = pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			return metricsdb.CloseGate(t.Context(), tx, 50*time.Millisecond)
		})
		require.ErrorContains(t, err, "55P03")
	})
}
