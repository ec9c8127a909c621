package report_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/bench/report"
)

// with returns a report with a section of series.
func with(series map[string][]float64) *report.Report {
	r := &report.Report{}
	r.Section("part")
	for name, values := range series {
		for _, v := range values {
			r.Add(name, "u", v)
		}
	}
	return r
}

func TestSeries(t *testing.T) {
	t.Run("the median of an odd number of rounds is the one in the middle", func(t *testing.T) {
		s := with(map[string][]float64{"s": {9, 1, 5}}).Find("s")
		require.Equal(t, []float64{5, 1, 9}, []float64{s.Median, s.Min, s.Max})
		require.Equal(t, []float64{9, 1, 5}, s.Values, "the rounds keep their order")
	})
	t.Run("that of an even number lies between the two in the middle", func(t *testing.T) {
		require.InDelta(t, 3.5, with(map[string][]float64{"s": {9, 1, 5, 2}}).Median("s"), 0)
	})
	t.Run("one round is its own median", func(t *testing.T) {
		s := with(map[string][]float64{"s": {7}}).Find("s")
		require.Equal(t, []float64{7, 7, 7}, []float64{s.Median, s.Min, s.Max})
	})
	t.Run("a section does not see the series of another", func(t *testing.T) {
		r := with(map[string][]float64{"s": {7}})
		r.Section("other")
		require.Nil(t, r.Find("s"))
		require.Zero(t, r.Median("s"))
	})
}

func TestRatio(t *testing.T) {
	t.Run("is that of the medians, its spread that of the rounds", func(t *testing.T) {
		r := with(map[string][]float64{"a": {10, 20, 30}, "b": {1, 4, 2}})
		r.Ratio("a / b", "a", "b", report.NoLimit())
		require.Len(t, r.Bars, 1)
		require.Equal(t, []float64{10, 5, 15}, []float64{r.Bars[0].Value, r.Bars[0].Min, r.Bars[0].Max})
		require.False(t, r.Bars[0].Judged)
		require.False(t, r.Bars[0].Met)
	})
	t.Run("with fewer rounds on one side the spread is that of the rounds both have", func(t *testing.T) {
		r := with(map[string][]float64{"a": {10, 20}, "b": {1, 1, 1, 1000}})
		r.Ratio("a / b", "a", "b", report.NoLimit())
		require.Equal(t, []float64{15, 10, 20}, []float64{r.Bars[0].Value, r.Bars[0].Min, r.Bars[0].Max})
	})
	t.Run("is left out while a side is missing or nothing", func(t *testing.T) {
		r := with(map[string][]float64{"a": {10}, "zero": {0}})
		r.Ratio("a / b", "a", "b", report.AtLeast(1))
		r.Ratio("b / a", "b", "a", report.AtLeast(1))
		r.Ratio("a / zero", "a", "zero", report.AtLeast(1))
		require.Empty(t, r.Bars)
	})
}

func TestBar(t *testing.T) {
	for name, c := range map[string]struct {
		limit report.Limit
		met   bool
	}{
		"just enough is enough":                {report.AtLeast(5), true},
		"less than the least is a miss":        {report.AtLeast(5.001), false},
		"just as much as allowed is allowed":   {report.AtMost(5), true},
		"more than the most allowed is a miss": {report.AtMost(4.999), false},
	} {
		t.Run(name, func(t *testing.T) {
			r := with(map[string][]float64{"a": {1, 5, 100}})
			r.Bound("a", "a", c.limit)
			require.Equal(t, report.Bar{
				Section: "part", Name: "a, u", Value: 5, Min: 1, Max: 100,
				Limit: c.limit.Value, AtMost: c.limit.AtMost, Judged: true, Met: c.met,
			}, r.Bars[0])
		})
	}
	t.Run("a missing series has no bar", func(t *testing.T) {
		r := with(nil)
		r.Bound("a", "a", report.AtLeast(1))
		require.Empty(t, r.Bars)
	})
}

func full() *report.Report {
	r := with(map[string][]float64{"a": {12345, 23456}, "b": {2}})
	r.Started, r.Ended = time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC), time.Date(2026, 3, 4, 5, 31, 0, 0, time.UTC)
	r.Command, r.Machine, r.Versions = "bench -quick", map[string]string{"cpus": "2"}, map[string]string{"go": "1.99", "bento": "v7"}
	r.Load = report.Load{Start: 0.25, End: 3.5}
	r.Took(90*time.Second, 1.5)
	r.Ratio("a / b", "a", "b", report.AtLeast(1e6))
	r.Bound("b", "b", report.AtMost(2))
	r.Note("%d peers", 2)
	return r
}

func TestPrint(t *testing.T) {
	var out strings.Builder
	require.NoError(t, full().Print(&out))
	for _, want := range []string{
		"bench -quick\n", "2026-03-04 05:06 to 05:31 UTC, load average 0.25 at the start, 3.50 at the end", "cpus 2\n", "bento v7, go 1.99\n",
		"part 90 s (load 1.50)", "PART", "17.9k", "12.3k", "23.5k", "≥ 1.00M", "MISSED", "≤ 2", "met", "note: part: 2 peers\n",
	} {
		require.Contains(t, out.String(), want)
	}
}

func TestWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.json")
	require.NoError(t, full().Write(file))
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	var got report.Report
	require.NoError(t, json.Unmarshal(content, &got))
	require.Equal(t, full().Bars, got.Bars)
	require.Equal(t, full().Load, got.Load)
	require.Equal(t, full().Sections, got.Sections)
	require.ElementsMatch(t, full().Series, got.Series)
	require.Equal(t, "v7", got.Versions["bento"])
	require.True(t, strings.HasSuffix(string(content), "}\n"))
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.012345: "0.0123", 9.876: "9.88", 123.4: "123", 9999: "9999", 12345: "12.3k", 10_000_000: "10.00M", -12345: "-12.3k",
	} {
		require.Equal(t, want, report.Number(v))
	}
}
