package records_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/event/fields"
	"github.com/lakepulse/lakepulse/services/query/records"
)

// row gives each target a value that tells its column apart.
type row struct{ columns []fields.Field }

func (r row) Scan(targets ...any) error {
	if len(targets) != len(r.columns) {
		return fmt.Errorf("%d targets for %d columns", len(targets), len(r.columns))
	}
	for i, f := range r.columns {
		switch to := targets[i].(type) {
		case *[16]byte:
			*to = uuid.MustParse("018f0000-0000-7000-8000-000000000001")
		case *time.Time:
			*to = time.Date(2026, 1, 2, 3, 4, 5, i*1000, time.FixedZone("CET", 3600))
		case *string:
			*to = f.Name
		case **string:
			*to = &f.Name
		case *int:
			*to = 404
		case *float64:
			*to = 1.5
		case **int64:
			n := int64(7)
			*to = &n
		case **bool:
			b := true
			*to = &b
		case *json.RawMessage:
			*to = json.RawMessage(`{"a": 1}`)
		default:
			return fmt.Errorf("%s: target of type %T", f.Name, to)
		}
	}
	return nil
}

// cell is what a column's value of row looks like in CSV.
func cell(i int, f fields.Field) string {
	switch f.Type {
	case fields.UUID:
		return "018f0000-0000-7000-8000-000000000001"
	case fields.Time:
		return time.Date(2026, 1, 2, 2, 4, 5, i*1000, time.UTC).Format(time.RFC3339Nano)
	case fields.Status:
		return "404"
	case fields.Number:
		return "1.5"
	case fields.Counter:
		return "7"
	case fields.Bool:
		return "true"
	case fields.Object:
		return `{"a": 1}`
	case fields.Text:
	}
	return f.Name
}

func TestRecords(t *testing.T) {
	t.Parallel()
	for _, k := range fields.Kinds {
		of := records.Of(event.Kind(k.Name))

		t.Run(k.Name+": each column is scanned into its field and exported under its name", func(t *testing.T) {
			t.Parallel()
			r := of.New()
			require.NoError(t, records.Scan(row{k.Fields}, r))
			var members map[string]any
			data, err := json.Marshal(r)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(data, &members))
			cells := r.Cells(nil)
			require.Len(t, cells, len(k.Fields))
			for i, f := range k.Fields {
				require.Equal(t, f.Name, of.Head[i])
				require.Equal(t, cell(i, f), cells[i], f.Name)
				require.Contains(t, members, f.Name, "the contract's record has it")
				if f.Type == fields.Text {
					require.Equal(t, f.Name, members[f.Name])
				}
			}
			require.Len(t, members, len(k.Fields))
			at, id := r.Key()
			require.Equal(t, time.UTC, at.Location())
			require.NotEqual(t, uuid.Nil, id)
		})

		t.Run(k.Name+": what is not known is an empty cell and no member", func(t *testing.T) {
			t.Parallel()
			r := of.New()
			data, err := json.Marshal(r)
			require.NoError(t, err)
			for i, f := range k.Fields {
				if !f.Required && !f.ByIngest {
					require.Empty(t, r.Cells(nil)[i], f.Name)
					require.NotContains(t, string(data), `"`+f.Name+`"`)
				}
			}
			require.True(t, reflect.ValueOf(r).Elem().IsZero())
		})
	}

	t.Run("text that a spreadsheet would take for a formula is quoted", func(t *testing.T) {
		t.Parallel()
		for _, formula := range []string{"=1+1", "+1", "-1", "@A1", "\tx", "\rx"} {
			p := records.Performance{}
			p.Endpoint = formula
			require.Contains(t, p.Cells(nil), "'"+formula)
		}
	})
}
