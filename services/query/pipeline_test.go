package query

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/services/query/history"
)

func TestPipeline(t *testing.T) {
	t.Parallel()

	t.Run("of an empty installation says that nobody speaks for the stream", func(t *testing.T) {
		t.Parallel()
		got := ask[api.Pipeline](setup(t), "/api/v1/pipeline")
		require.Equal(t, []string{"stream"}, got.Unavailable)
		require.Nil(t, got.Stream)
		require.Len(t, got.Tables, 2, "what Postgres estimates")
		require.NotNil(t, got.Runs)
	})

	t.Run("puts together what the parts say", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.storedThrough(before(time.Second))
		b.part("writer/one", `{"instance":"one","stream_messages":7,"stream_bytes":700,"lag_messages":2,"lag_seconds":0.5,
			"stored_per_second":10,"stored_total":99,"duplicates_total":3,"trouble":"the database does not answer"}`)
		b.part("writer/two", `{"stored_per_second":5,"unknown":{}}`)
		b.part("writer/broken", `["what?"]`)
		b.part("governance", `{"tables":[{"table":"usage_events","rows":900000,"bytes":1,"level":"warning","warning_at":800000,"alert_at":1000000}]}`)
		b.exec(`UPDATE purge_line SET purged_before = $1, held_by = 'a lagging writer'`, before(8*history.Day).Truncate(time.Hour))
		for outcome, at := range map[string]time.Time{"accepted": before(time.Second), "stored": before(time.Hour), "dropped": before(time.Hour),
			"summarised": before(time.Hour), "refused": before(2 * history.Day)} {
			b.ledger(outcome, "", 60, at)
		}
		b.ledger("refused", "timestamp", 4, before(time.Hour))
		b.exec(`INSERT INTO aggregation_runs (id, kind, "trigger", status, requested_at, started_at, finished_at, failures)
			VALUES ($1, 'rollup', 'schedule', 'partial', $2, $2, $3, '[{"message":"poisoned","kind":"usage"}]')`,
			uuid.New(), before(time.Hour), before(59*time.Minute))

		got := ask[api.Pipeline](b, "/api/v1/pipeline")
		require.Empty(t, got.Unavailable)
		require.EqualValues(t, 60, got.Counters.Accepted)
		require.EqualValues(t, 60, got.Counters.ClientDropped)
		require.EqualValues(t, 60, *got.Counters.AlreadySummarised)
		require.Equal(t, map[string]int64{"timestamp": 4}, got.Counters.Refused)
		require.InDelta(t, 1, got.Rates.AcceptedPerSecond, 1e-9)
		require.InDelta(t, 15, got.Rates.StoredPerSecond, 1e-9)
		require.Len(t, got.Writers, 2)
		require.Equal(t, "the database does not answer", *got.Writers[0].Problem)
		require.Equal(t, before(time.Second), *got.Watermark)
		require.Equal(t, "a lagging writer", *got.PurgeLine.HeldBy)
		require.Equal(t, before(7*history.Day).Truncate(time.Hour), *got.PurgeLine.Target)
		require.Equal(t, api.GovernanceWarning, got.Tables[0].Level)
		require.InDelta(t, 60_000, *got.Runs[0].DurationMs, 0)
		require.Equal(t, "poisoned", got.Runs[0].Failures[0].Message)
	})

	t.Run("tells a writer that fell silent", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.part("writer/one", `{"stream_messages":7}`)
		b.exec(`UPDATE pipeline_status SET updated_at = now() - interval '5 minutes'`)
		got := ask[api.Pipeline](b, "/api/v1/pipeline")
		require.Contains(t, *got.Writers[0].Problem, "silent")
		require.Equal(t, []string{"stream"}, got.Unavailable)
		b.exec(`UPDATE pipeline_status SET updated_at = now() - interval '5 hours'`)
		require.Empty(t, ask[api.Pipeline](b, "/api/v1/pipeline").Writers)
	})
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const path = "/api/v1/pipeline/dead"
	require.Zero(t, ask[api.DeadLetterList](b, path).Count)
	letters := metricsdb.DeadLetters{Count: 70, Letters: []metricsdb.DeadLetter{
		{Sequence: 4, Reason: "unknown version 9", FirstSeen: before(4 * time.Hour), CodeVersion: "v1", OriginalSubject: "metrics.usage.shop",
			OriginalSequence: 12, Bytes: 5000, Raw: []byte("hello"), Headers: map[string][]string{"Lakepulse-Schema": {"9"}}},
		{Sequence: 9, Reason: "refused", FirstSeen: before(3 * time.Hour), OriginalSubject: "metrics.usage.desk", Bytes: 40,
			Events: 2, Content: []byte(`[{"id":1},{"id":2}]`)}}}
	require.NoError(t, metricsdb.WriteDeadLetters(t.Context(), b.pool, letters))

	list := ask[api.DeadLetterList](b, path, "limit", "1")
	require.EqualValues(t, 70, list.Count)
	require.Len(t, list.DeadLetters, 1)
	require.EqualValues(t, 9, list.DeadLetters[0].Sequence, "newest first")
	require.EqualValues(t, 2, *list.DeadLetters[0].Events)

	text := ask[api.DeadLetterContent](b, path+"/9")
	require.Equal(t, api.EncodingText, text.Encoding)
	require.JSONEq(t, `[{"id":1},{"id":2}]`, text.Content)
	raw := ask[api.DeadLetterContent](b, path+"/4")
	require.Equal(t, api.EncodingBase64, raw.Encoding)
	require.Equal(t, "aGVsbG8=", raw.Content)
	require.True(t, *raw.Truncated)
	require.EqualValues(t, 12, *raw.DeadLetter.OriginalSequence)
	require.Equal(t, map[string][]string{"Lakepulse-Schema": {"9"}}, raw.Headers)

	b.refused(http.StatusNotFound, path+"/5")
	b.refused(http.StatusBadRequest, path+"/first")
	require.EqualValues(t, 70, ask[api.Pipeline](b, "/api/v1/pipeline").DeadLetters)
}

func (b *bundle) part(name, body string) {
	b.t.Helper()
	b.exec(`INSERT INTO pipeline_status (part, body) VALUES ($1, $2::jsonb)`, name, body)
}

func (b *bundle) ledger(outcome, reason string, events int, at time.Time) {
	b.t.Helper()
	b.exec(`INSERT INTO event_ledger (id, reported_at, source, app, metric_type, outcome, reason, events)
		VALUES ($1, $2, 'test', 'shop', 'usage', $3, $4, $5)`, uuid.New(), at, outcome, reason, events)
}
