package stream

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	lakepulse "github.com/lakepulse/lakepulse/clients/go"
	"github.com/lakepulse/lakepulse/pkg/event"
)

// TestEveryFieldOfAClientsEventReachesTheLog fills each field of a client's event with
// a value of its own and expects it in the field of the same JSON name.
func TestEveryFieldOfAClientsEventReachesTheLog(t *testing.T) {
	t.Parallel()
	received := time.Date(2026, 3, 1, 12, 0, 1, 0, time.UTC)
	var p lakepulse.Performance
	fill(t, &p)
	var u lakepulse.Usage
	fill(t, &u)
	whole := batchOf(&lakepulse.Batch{
		App: "shop", Kind: lakepulse.KindPerformance, Performance: []lakepulse.Performance{p}, Usage: []lakepulse.Usage{u},
	}, received)
	require.Equal(t, "shop", whole.App)
	require.Equal(t, event.KindPerformance, whole.Kind)
	require.Equal(t, 2, whole.Len())
	requireSameJSON(t, p, whole.Performance[0], event.Performance{})
	requireSameJSON(t, u, whole.Usage[0], event.Usage{}, "seq") // the browser tab's, not a server's
}

func fill(t *testing.T, target any) {
	t.Helper()
	v := reflect.ValueOf(target).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch f := v.Field(i).Addr().Interface().(type) {
		case *string:
			*f = "value of " + name
		case *int:
			*f = 100 + i
		case *float64:
			*f = 100.5 + float64(i)
		case *time.Time:
			*f = time.Date(2026, 3, 1, 12, 0, i, 0, time.UTC)
		case *lakepulse.ID:
			*f = lakepulse.ID{byte(i), 1}
		case **int64:
			n := int64(100 + i)
			*f = &n
		case **bool:
			yes := true
			*f = &yes
		case *json.RawMessage:
			*f = json.RawMessage(fmt.Sprintf(`{"field":%d}`, i))
		default:
			require.Failf(t, "the test cannot fill this type", "%s is a %T", name, f)
		}
	}
}

// requireSameJSON expects the members of sent in got, and nothing of the event's type
// left out but what ingest sets and the names given.
func requireSameJSON(t *testing.T, sent, got, kind any, without ...string) {
	t.Helper()
	want, have := members(t, sent), members(t, got)
	require.Equal(t, "2026-03-01T12:00:01Z", have["received_at"])
	delete(have, "received_at")
	require.Equal(t, want, have)
	typ := reflect.TypeOf(kind)
	require.Equal(t, typ.NumField()-1-len(without), len(have), "a field of %s is not carried", typ)
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		if name == "received_at" || len(without) > 0 && name == without[0] {
			continue
		}
		require.Contains(t, have, name)
	}
}

func members(t *testing.T, v any) map[string]any {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	var m map[string]any
	require.NoError(t, json.Unmarshal(raw, &m))
	return m
}
