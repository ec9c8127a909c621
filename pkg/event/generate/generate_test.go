package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event/fields"
)

func TestGeneratedFilesAreCurrent(t *testing.T) {
	t.Parallel()
	for _, o := range outputs {
		t.Run(o.path, func(t *testing.T) {
			t.Parallel()
			want, err := o.render()
			require.NoError(t, err)
			got, err := os.ReadFile(filepath.Join("..", "..", "..", filepath.FromSlash(o.path)))
			require.NoError(t, err)
			require.Equal(t, string(want), string(got), "run go generate ./pkg/event")
		})
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	for _, k := range fields.Kinds {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			names, numbers := map[string]bool{}, map[int]bool{}
			for _, f := range k.Fields {
				require.False(t, names[f.Name], "%s is there twice", f.Name)
				require.False(t, numbers[f.Number], "%s has the number of another field", f.Name)
				require.NotEmpty(t, f.Doc, f.Name)
				require.True(t, f.ByIngest || f.Clients != nil || f.Span != nil || f.Resource != nil, "nobody sends %s", f.Name)
				names[f.Name], numbers[f.Number] = true, true
			}
			for _, name := range []string{"id", "timestamp", "received_at", "app", "user_id", "session_id"} {
				require.True(t, names[name], "an event without %s cannot be stored", name)
			}
		})
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	for _, m := range fields.Methods {
		require.True(t, fields.IsMethod(m), m)
	}
	for _, m := range []string{"", "get", "ZAP", fields.OtherMethod} {
		require.False(t, fields.IsMethod(m), m)
	}
}
