package ingest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event/fields"
	"github.com/lakepulse/lakepulse/pkg/httpapi"
	"github.com/lakepulse/lakepulse/pkg/stream"
	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services/ingest"
)

func TestDimensionsAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	post := func(from, to int) {
		for ; from < to; from += 500 {
			events := make([]string, 0, 500)
			for i := from; i < from+500; i++ {
				events = append(events, strings.Replace(call(""), `"/a"`, fmt.Sprintf(`"/made-up/%d"`, i), 1))
			}
			require.Equal(t, http.StatusAccepted, b.post(t, "key", performancePath, batch(events...)).code)
		}
	}
	post(0, 3000)
	endpoints := map[string]int{}
	for _, p := range b.log.performance() {
		endpoints[p.Endpoint]++
	}
	require.Len(t, endpoints, 1001, "the first thousand and the rest together")
	require.Equal(t, 2000, endpoints[fields.Other])

	t.Run("what was seen before keeps its name", func(t *testing.T) {
		post(0, 500)
		all := b.log.performance()
		require.Equal(t, "/made-up/499", all[len(all)-1].Endpoint)
	})
	t.Run("nobody sends the name that stands for the rest", func(t *testing.T) {
		got := b.post(t, "key", performancePath, batch(call(`,"app_version":"(other)"`), strings.Replace(call(""), `"/a"`, `"(other)"`, 1)))
		require.Equal(t, http.StatusBadRequest, got.code)
		require.Contains(t, fmt.Sprint(got.body), "app_version")
	})
	t.Run("a service that makes up apps is stopped at the bound", func(t *testing.T) {
		events := make([]string, 0, 300)
		for i := range 300 {
			events = append(events, call(fmt.Sprintf(`,"app":"made-up-%d"`, i)))
		}
		got := b.post(t, "service", performancePath, batch(events...))
		require.Equal(t, http.StatusAccepted, got.code)
		require.Equal(t, 199, got.body.EventsReceived, "199 beside the app of the key")
	})
}

// oneApp knows one app.
type oneApp string

func (o oneApp) KnowsApp(app string) bool { return app == string(o) }

func TestPeopleSendForKnownApps(t *testing.T) {
	t.Parallel()
	l := &log{}
	s, err := ingest.New(ingest.Params{Config: ingest.DefaultConfig(), Publisher: l, Apps: oneApp("orders"), Reports: l.report, Now: clock, Log: testkit.Logger(t)})
	require.NoError(t, err)
	b := bundle{log: l, service: s, handler: httpapi.NewHandler(httpapi.HandlerParams{Routes: s.Routes(), Auth: everybody, Log: testkit.Logger(t)})}
	got := b.post(t, "ada", usagePath, batch(click(`,"app":"orders"`), click(""), click(`,"app":"lakepulse"`), click(`,"app":"invented"`)))
	require.Equal(t, http.StatusAccepted, got.code)
	require.Equal(t, 3, got.body.EventsReceived)
	require.Contains(t, fmt.Sprint(got.body.Rejected), "is not known here")
	require.Equal(t, http.StatusAccepted, b.post(t, "service", usagePath, batch(click(`,"app":"invented","user_id":"u"`))).code, "a service principal says whose events it sends")
}

func TestDeadLettersAreRejectedByName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := uuid.NewString(), uuid.NewString()
	b.log.err = &stream.NotStoredError{Reasons: map[uuid.UUID]string{uuid.MustParse(second): "too odd"}}
	got := b.post(t, "key", usagePath, batch(`{"event_type":"Bad"}`, click(`,"user_id":"u","id":"`+first+`"`), click(`,"user_id":"u","id":"`+second+`"`)))
	require.Equal(t, http.StatusAccepted, got.code)
	require.Equal(t, 1, got.body.EventsReceived)
	require.Len(t, got.body.Rejected, 2)
	require.Equal(t, 2, got.body.Rejected[1].Index)
	require.Equal(t, second, got.body.Rejected[1].ID)
	require.Equal(t, "could not be stored: too odd", got.body.Rejected[1].Reason)
}
