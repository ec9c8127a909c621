package writer_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/eventtest"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

// TestOldStreamsAreStored replays the streams that earlier versions wrote, as
// kept in pkg/event/testdata, through the current writer.
func TestOldStreamsAreStored(t *testing.T) {
	t.Parallel()
	for version := 1; version <= event.SchemaVersion; version++ {
		t.Run(fmt.Sprintf("of version %d", version), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			kept := fmt.Sprintf("../../pkg/event/testdata/stream.v%d.", version)
			var want []*event.Batch
			text, err := os.ReadFile(kept + "json")
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(text, &want))
			data, err := os.ReadFile(kept + "bin")
			require.NoError(t, err)
			for _, batch := range want {
				n := binary.BigEndian.Uint32(data)
				msg := nats.NewMsg(stream.Subject(batch.Kind, batch.App))
				msg.Header.Set(event.HeaderSchema, strconv.Itoa(version))
				msg.Data = data[4 : 4+n]
				data = data[4+n:]
				_, err := b.js.PublishMsg(t.Context(), msg)
				require.NoError(t, err)
			}
			b.start(startParams{name: "current"})
			b.awaitAcks()
			require.Empty(t, b.dead())
			stored := b.stored()
			for _, id := range eventtest.IDs(want...) {
				require.Contains(t, stored, id)
			}
			require.Len(t, stored, 5, "one of the six is there twice")
		})
	}
}
