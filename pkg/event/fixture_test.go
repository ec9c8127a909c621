package event_test

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// A stream as version 1 wrote it is kept in testdata, beside what was in it.
// Current code must read it for ever. -write-fixture makes the files of the
// current version; those of older versions are never made again.
var writeFixture = flag.Bool("write-fixture", false, "write testdata/stream.v<current>.*")

// fixture is one message of a kept stream.
type fixture struct {
	Kind        event.Kind          `json:"kind"`
	App         string              `json:"app"`
	Performance []event.Performance `json:"performance,omitempty"`
	Usage       []event.Usage       `json:"usage,omitempty"`
}

func TestFixtureStreams(t *testing.T) {
	t.Parallel()
	if *writeFixture {
		write(t, event.SchemaVersion)
	}
	for version := 1; version <= event.SchemaVersion; version++ {
		t.Run(fmt.Sprintf("what version %d wrote is read as it was meant", version), func(t *testing.T) {
			t.Parallel()
			want := wanted(t, version)
			require.Len(t, want, 4)
			messages := messagesOf(t, version)
			require.Len(t, messages, len(want))
			for i, data := range messages {
				b, err := event.Decode(version, want[i].Kind, data)
				require.NoError(t, err)
				got, err := json.Marshal(fixture{Kind: b.Kind, App: b.App, Performance: b.Performance, Usage: b.Usage})
				require.NoError(t, err)
				expected, err := json.Marshal(want[i])
				require.NoError(t, err)
				require.JSONEq(t, string(expected), string(got))
			}
		})
	}
	t.Run("the current version has a fixture", func(t *testing.T) {
		require.FileExists(t, path(event.SchemaVersion, "bin"))
	})
}

func path(version int, ext string) string {
	return filepath.Join("testdata", fmt.Sprintf("stream.v%d.%s", version, ext))
}

func wanted(t *testing.T, version int) (want []fixture) {
	t.Helper()
	data, err := os.ReadFile(path(version, "json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &want))
	return want
}

// messagesOf splits the file: each message has its length before it, four bytes
// big-endian.
func messagesOf(t *testing.T, version int) (messages [][]byte) {
	t.Helper()
	data, err := os.ReadFile(path(version, "bin"))
	require.NoError(t, err)
	for len(data) > 0 {
		n := binary.BigEndian.Uint32(data)
		messages = append(messages, data[4:4+n])
		data = data[4+n:]
	}
	return messages
}

func write(t *testing.T, version int) {
	t.Helper()
	fixed := func(n byte) uuid.UUID {
		return uuid.UUID{0x01, 0x96, 0, 0, 0, n, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, n}
	}
	p, u := performance(), usage()
	p.ID, u.ID = fixed(1), fixed(2)
	least := event.Performance{ID: fixed(3), Timestamp: now, App: "orders", Endpoint: "/", Method: "GET", StatusCode: 200}
	bare := event.Usage{ID: fixed(4), Timestamp: now.Add(-time.Hour), App: "my.shop", EventType: "cart.item_added", UserID: "bob@example.com"}
	umlaut := event.Usage{ID: fixed(5), Timestamp: now, App: "my.shop", EventType: event.TypePageView, UserID: "zoë", PageName: "/größe/🧀",
		Metadata: json.RawMessage(`{"n":[1,2.5,null,true]}`), ReceivedAt: now.Add(time.Microsecond)}
	list := []fixture{
		{Kind: event.KindPerformance, App: "orders", Performance: []event.Performance{p, least}},
		{Kind: event.KindUsage, App: "orders", Usage: []event.Usage{u}},
		{Kind: event.KindUsage, App: "my.shop", Usage: []event.Usage{bare, umlaut}},
		{Kind: event.KindPerformance, App: "orders", Performance: []event.Performance{least}},
	}
	var bin []byte
	for _, f := range list {
		b := event.Batch{App: f.App, Kind: f.Kind, Performance: f.Performance, Usage: f.Usage}
		data := b.Encode(nil)
		bin = binary.BigEndian.AppendUint32(bin, uint32(len(data)))
		bin = append(bin, data...)
	}
	text, err := json.MarshalIndent(list, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll("testdata", 0o755))
	require.NoError(t, os.WriteFile(path(version, "bin"), bin, 0o644))
	require.NoError(t, os.WriteFile(path(version, "json"), append(text, '\n'), 0o644))
}
