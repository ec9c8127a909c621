package load

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestRequest(t *testing.T) {
	t.Run("is valid JSON with the ids and the time just written", func(t *testing.T) {
		q := NewRequest(Target{Addr: "127.0.0.1:1", Path: "/p", Shape: Envelope}, 3, rand.New(rand.NewPCG(1, 2)))
		now := time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)
		q.stamp(now)
		_, body, _ := strings.Cut(string(q.data), "\r\n\r\n")
		var got struct {
			Events []struct {
				ID        uuid.UUID `json:"id"`
				Timestamp time.Time `json:"timestamp"`
			} `json:"events"`
		}
		require.NoError(t, json.Unmarshal([]byte(body), &got), body)
		require.Len(t, got.Events, 3)
		seen := map[uuid.UUID]bool{}
		for _, e := range got.Events {
			require.Equal(t, now, e.Timestamp)
			require.Equal(t, uuid.Version(7), e.ID.Version())
			require.Equal(t, uuid.RFC4122, e.ID.Variant())
			seen[e.ID] = true
		}
		require.Len(t, seen, 3)
	})
	t.Run("is about as large as a real event", func(t *testing.T) {
		one := NewRequest(Target{Shape: Array}, 1, rand.New(rand.NewPCG(1, 2)))
		many := NewRequest(Target{Shape: Array}, 101, rand.New(rand.NewPCG(1, 2)))
		require.InDelta(t, 290, (len(many.data)-len(one.data))/100, 15)
	})
}
