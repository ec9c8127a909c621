package metricsdb_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // zones must be known where the system has no zone files

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
)

// TestStatementsStandHereAlone refuses SQL over the tables that several services
// share in any other package of the program.
func TestStatementsStandHereAlone(t *testing.T) {
	t.Parallel()
	shared := regexp.MustCompile(`(?i)\b(FROM|INTO|UPDATE|JOIN|TABLE)\s+(metrics\.)?(hour_marks|purge_line|purge_gate|stream_positions|event_ledger|pipeline_status|hour_receipts|day_receipts|aggregation_runs|aggregation_lease|settings)\b`)
	looked := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "bench" || path == "../../migrations/carry" || path == "../../pkg/metricsdb"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		looked++
		for _, line := range strings.Split(string(text), "\n") {
			if !strings.HasPrefix(strings.TrimSpace(line), "//") {
				require.NotRegexp(t, shared, line, path)
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, looked, 100)
}

// TestParts holds Go and SQL to the same parts, and the parts to the world: no day of
// any time zone begins elsewhere than where a part does.
func TestParts(t *testing.T) {
	t.Parallel()

	t.Run("are the same in SQL", func(t *testing.T) {
		t.Parallel()
		pool := setup(t)
		var moments, want []time.Time
		for at := moment.Truncate(24 * time.Hour); at.Before(moment.Truncate(24 * time.Hour).Add(24 * time.Hour)); at = at.Add(5 * time.Minute) {
			moments, want = append(moments, at), append(want, metricsdb.PartStart(at))
		}
		rows, err := pool.Query(t.Context(), `SELECT aggregate_part(at) FROM unnest($1::timestamptz[]) WITH ORDINALITY AS u (at, i) ORDER BY i`, moments)
		require.NoError(t, err)
		defer rows.Close()
		for i := 0; rows.Next(); i++ {
			var got time.Time
			require.NoError(t, rows.Scan(&got))
			require.Equal(t, want[i], got.UTC())
		}
		require.NoError(t, rows.Err())
	})

	t.Run("follow each other without a hole", func(t *testing.T) {
		t.Parallel()
		for at := moment; at.Before(moment.Add(24 * time.Hour)); at = at.Add(time.Minute) {
			start := metricsdb.PartStart(at)
			end := metricsdb.PartEnd(start)
			require.False(t, at.Before(start))
			require.True(t, at.Before(end))
			require.Equal(t, end, metricsdb.PartStart(end))
			require.Contains(t, metricsdb.Parts(at), start)
		}
	})

	t.Run("begin where days begin, in every zone", func(t *testing.T) {
		t.Parallel()
		zones := 0
		for _, name := range zoneNames(t) {
			zone, err := time.LoadLocation(name)
			if err != nil {
				continue // no zone but a table of them
			}
			zones++
			for day := range 3 * 366 {
				midnight := time.Date(2024, 1, 1+day, 0, 0, 0, 0, zone)
				if midnight.Hour() != 0 { // a day that a change of the clock begins later
					continue
				}
				require.True(t, metricsdb.PartStart(midnight).Equal(midnight), "%s, %s", name, midnight)
			}
		}
		require.Greater(t, zones, 10)
	})
}

// zoneNames lists the time zones of this machine, and those that Go brings along.
func zoneNames(t *testing.T) []string {
	t.Helper()
	names := []string{"Asia/Kolkata", "Asia/Kathmandu", "Asia/Tehran", "Asia/Kabul", "Asia/Yangon", "Australia/Adelaide", "Australia/Darwin",
		"Australia/Eucla", "Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Marquesas", "America/St_Johns", "Indian/Cocos", "Asia/Colombo"}
	const root = "/usr/share/zoneinfo"
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(path, root+"/right/") && !strings.HasPrefix(path, root+"/posix/") {
			names = append(names, strings.TrimPrefix(path, root+"/"))
		}
		return nil // without the directory the zones above are looked at
	})
	require.NoError(t, err)
	return names
}
