package forget_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/postgres"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/tools/forget"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestUser(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	nc, err := testkit.NATS(t).Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, stream.DefaultTopology().Reconcile(ctx, js))
	cfg := postgres.DefaultConfig()
	cfg.URL = testkit.Database(t)
	pool, err := postgres.Open(ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)

	now := time.Now().UTC().Truncate(time.Microsecond)
	user := func(name string) event.Usage {
		return event.Usage{ID: event.NewID(), Timestamp: now, App: "shop", EventType: "page_view", UserID: name,
			SessionID: "s", Metadata: []byte(`{"email":"` + name + `"}`)}
	}
	b := event.Batch{App: "shop", Kind: event.KindUsage, Usage: []event.Usage{user("ada"), user("bob"), user("ada")}}
	require.NoError(t, stream.NewPublisher(js).Publish(ctx, &b, ""))
	_, err = js.PublishMsg(ctx, &nats.Msg{Subject: stream.DeadSubject(event.KindUsage, "shop"), Data: []byte("not readable, but of ada"), Header: nats.Header{}})
	require.NoError(t, err)
	_, err = pool.Exec(ctx, `
SELECT ensure_raw_partition('usage_events', current_date), ensure_raw_partition('performance_metrics', current_date)`)
	require.NoError(t, err)
	_, err = pool.Exec(ctx, `
INSERT INTO usage_events (id, "timestamp", received_at, app, event_type, user_id, metadata)
SELECT gen_random_uuid(), date_trunc('day', now()), now(), 'shop', 'page_view', u, '{"a":1}' FROM unnest('{ada,ada,bob}'::text[]) u`)
	require.NoError(t, err)
	_, err = pool.Exec(ctx, `INSERT INTO user_numbers (user_id) VALUES ('ada'), ('bob')`)
	require.NoError(t, err)

	p := forget.Params{JS: js, Pool: pool, Now: time.Now, Patience: 10 * time.Second}

	dry := p
	dry.DryRun = true
	found, err := forget.User(ctx, dry, "ada")
	require.NoError(t, err)
	require.Equal(t, forget.Report{User: "ada", LogMessages: 1, LogEvents: 2, DeadLetters: 1, Usage: 2, InAggregates: true}, found)

	done, err := forget.User(ctx, p, "ada")
	require.NoError(t, err)
	require.NotEmpty(t, done.ReplacedBy)
	done.ReplacedBy = ""
	require.Equal(t, found, done, "what a dry run finds is what is done")

	t.Run("nothing is left to find", func(t *testing.T) {
		again, err := forget.User(ctx, dry, "ada")
		require.NoError(t, err)
		require.Equal(t, forget.Report{User: "ada"}, again)
	})

	t.Run("the others and all counts are what they were", func(t *testing.T) {
		var rows, bobs, users int
		require.NoError(t, pool.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE user_id = 'bob'), count(DISTINCT user_id) FROM usage_events`).Scan(&rows, &bobs, &users))
		require.Equal(t, []int{3, 1, 2}, []int{rows, bobs, users})
		s, err := js.Stream(ctx, stream.Name)
		require.NoError(t, err)
		require.EqualValues(t, 1, s.CachedInfo().State.Msgs)
		raw, err := s.GetMsg(ctx, s.CachedInfo().State.LastSeq)
		require.NoError(t, err)
		left, err := event.Decode(event.SchemaVersion, event.KindUsage, raw.Data)
		require.NoError(t, err)
		require.Len(t, left.Usage, 3)
		require.Equal(t, b.Usage[0].ID, left.Usage[0].ID)
		require.Empty(t, left.Usage[0].Metadata)
		require.Equal(t, "bob", left.Usage[1].UserID)
		require.NotEmpty(t, left.Usage[1].Metadata)
	})

	t.Run("a user must be named", func(t *testing.T) {
		_, err := forget.User(ctx, p, "")
		require.Error(t, err)
	})
}
