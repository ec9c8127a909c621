package metricsdb_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// TestSchemaDocument holds docs/schema.md to the tables and views of the database.
func TestSchemaDocument(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	rows, err := pool.Query(t.Context(), `SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'metrics' AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition`)
	require.NoError(t, err)
	want, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	text, err := os.ReadFile("../../docs/schema.md")
	require.NoError(t, err)
	var got []string
	for _, line := range strings.Split(string(text), "\n") {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
				got = append(got, name[1])
			}
		}
	}
	got = append(got, "aggregated_metrics", "aggregated_days", "aggregated_totals")
	for _, view := range got[len(got)-3:] {
		require.Contains(t, string(text), "`"+view+"`")
	}
	require.ElementsMatch(t, want, got)
}
