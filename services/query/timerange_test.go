package query

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/services/query/history"
)

const retention = 90 * history.Day

func TestRangeThatIsAnswered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query      url.Values
		start, end time.Time
		rangeName  api.TimeRangeName
	}{
		"without parameters the last 24 hours": {nil, before(history.Day), moment, "24h"},
		"a named range ends now":               {url.Values{"time_range": {"7d"}}, before(7 * history.Day), moment, "7d"},
		"90 days are within the retention":     {url.Values{"time_range": {"90d"}}, before(90 * history.Day), moment, "90d"},
		"a custom range":                       {between(before(3*history.Day), before(history.Day)), before(3 * history.Day), before(history.Day), "custom"},
		"exactly 90 days, made a minute ago":   {between(before(90*history.Day+time.Minute), before(time.Minute)), before(90*history.Day + time.Minute), before(time.Minute), "custom"},
		"as far ahead as events may be":        {between(before(history.Day), before(-event.MaxAhead)), before(history.Day), before(-event.MaxAhead), "custom"},
		"another zone's offset":                {url.Values{"start": {"2026-03-18T10:00:00+02:00"}, "end": {"2026-03-18T10:30:00Z"}}, moment.Truncate(time.Hour).Add(-6 * time.Hour), moment.Truncate(time.Hour).Add(-3*time.Hour - 30*time.Minute), "custom"},
		"fractions, cut to microseconds":       {url.Values{"start": {"2026-03-18T10:00:00.0000019Z"}, "end": {"2026-03-18T10:00:01Z"}}, moment.Truncate(time.Hour).Add(-4*time.Hour + time.Microsecond), moment.Truncate(time.Hour).Add(-4*time.Hour + time.Second), "custom"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := parseRange(c.query, moment, retention)
			require.NoError(t, err)
			require.Equal(t, c.start, r.Start)
			require.Equal(t, c.end, r.End)
			require.Equal(t, c.rangeName, r.Name)
		})
	}
}

func TestRangeThatIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query                url.Values
		field, rule, message string
	}{
		"over 90 days": {between(before(90*history.Day+time.Hour), before(0)), "end", "over_90_days",
			"the range from start to end must not be over 90 days"},
		"older than retention": {between(before(100*history.Day), before(50*history.Day)), "start", "older_than_retention",
			"start must not be older than the retention of 90 days"},
		"end in the future": {between(before(history.Day), before(-time.Hour)), "end", "in_the_future",
			"end must not be in the future"},
		"start in the future": {between(before(-time.Hour), before(-2*time.Hour)), "start", "in_the_future",
			"start must not be in the future"},
		"start after end": {between(before(history.Day), before(2*history.Day)), "start", "start_after_end", "start must be before end"},
		"start at end":    {between(before(history.Day), before(history.Day)), "start", "start_after_end", "start must be before end"},
		"no end": {url.Values{"start": {rfc(before(history.Day))}}, "end", "both_needed",
			"start and end must be given together: end is missing"},
		"no start": {url.Values{"end": {rfc(before(history.Day))}}, "start", "both_needed",
			"start and end must be given together: start is missing"},
		"no time": {url.Values{"start": {"yesterday"}, "end": {rfc(moment)}}, "start", "rfc3339",
			"start must be a time in RFC 3339 format, such as 2026-01-31T14:00:00Z"},
		"a day is no time": {url.Values{"start": {rfc(before(history.Day))}, "end": {"2026-03-18"}}, "end", "rfc3339",
			"end must be a time in RFC 3339 format, such as 2026-01-31T14:00:00Z"},
		"an unknown name": {url.Values{"time_range": {"1y"}}, "time_range", "unknown",
			"time_range must be one of 24h, 7d, 30d, 90d"},
		"an empty name": {url.Values{"time_range": {""}}, "time_range", "unknown",
			"time_range must be one of 24h, 7d, 30d, 90d"},
		"a name and edges": {url.Values{"time_range": {"7d"}, "start": {rfc(before(history.Day))}, "end": {rfc(moment)}}, "time_range", "not_together",
			"time_range must not be given together with start and end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parseRange(c.query, moment, retention)
			f, ok := errors.AsType[*fault.Error](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, http.StatusBadRequest, f.Status())
			require.Equal(t, c.message, f.Message)
			require.Equal(t, map[string]any{"field": c.field, "rule": c.rule}, f.Details)
		})
	}
	t.Run("a name that is longer than what is kept", func(t *testing.T) {
		t.Parallel()
		_, err := parseRange(url.Values{"time_range": {"90d"}}, moment, 30*history.Day)
		require.ErrorContains(t, err, "time_range must not be older than the retention of 30 days")
	})
}

// FuzzRange holds whatever is asked for against the promise: a range, or a
// refusal that names field and rule.
func FuzzRange(f *testing.F) {
	f.Add("24h", "", "")
	f.Add("", rfc(before(3*history.Day)), rfc(before(history.Day)))
	f.Add("", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z")
	f.Add("7d", "\x00", "+2026-01-01T00:00:00+24:00")
	f.Fuzz(func(t *testing.T, name, start, end string) {
		q := url.Values{}
		for k, v := range map[string]string{"time_range": name, "start": start, "end": end} {
			if v != "" {
				q.Set(k, v)
			}
		}
		r, err := parseRange(q, moment, retention)
		if err != nil {
			refusal, ok := errors.AsType[*fault.Error](err)
			require.True(t, ok)
			require.Equal(t, fault.Invalid, refusal.Code)
			require.NotEmpty(t, refusal.Details["field"])
			require.NotEmpty(t, refusal.Details["rule"])
			return
		}
		require.True(t, r.Start.Before(r.End))
		require.LessOrEqual(t, r.Length(), MaxRange)
		require.False(t, r.End.After(moment.Add(event.MaxAhead)))
		require.False(t, r.Start.Before(oldest(moment, retention)))
		require.Equal(t, r.Start, r.Start.UTC().Truncate(time.Microsecond))
	})
}

func between(start, end time.Time) url.Values {
	return url.Values{"start": {rfc(start)}, "end": {rfc(end)}}
}
