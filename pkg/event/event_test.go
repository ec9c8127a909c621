package event_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/event"
)

var now = time.Date(2026, 3, 14, 15, 9, 26, 535897000, time.UTC)

func window() event.Window { return event.WindowAt(now, 168*time.Hour) }

func performance() event.Performance {
	seq := int64(7)
	return event.Performance{
		ID: event.NewID(), Timestamp: now, App: "orders", Instance: "orders-1", Endpoint: "/api/orders/{id}",
		Method: "GET", StatusCode: 503, ResponseTimeMS: 12.75, UserID: "ada@example.com", ErrorType: "Timeout",
		AppVersion: "1.2.3", SessionID: "s-1", InteractionID: "i-1", TraceID: strings.Repeat("a", 32),
		CorrelationID: "c-1", Seq: &seq, ReceivedAt: now.Add(time.Second),
	}
}

func usage() event.Usage {
	ok := false
	return event.Usage{
		ID: event.NewID(), Timestamp: now, App: "orders", EventType: event.TypeButtonClick, UserID: "ada@example.com",
		PageName: "/orders", ElementID: "save", Success: &ok, Metadata: json.RawMessage(`{"a":[1,{"b":"\u00e9"}]}`),
		AppVersion: "1.2.3", SessionID: "s-1", InteractionID: "i-1", ReceivedAt: now,
	}
}

func TestPerformanceValidate(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*event.Performance)
		field  string
	}{
		"a full event is valid": {func(*event.Performance) {}, ""},
		"the least event is valid": {func(p *event.Performance) {
			*p = event.Performance{ID: p.ID, Timestamp: now, App: "a", Endpoint: "/", Method: "GET", StatusCode: 200}
		}, ""},
		"the id must be there":             {func(p *event.Performance) { p.ID = uuid.Nil }, "id"},
		"the timestamp must be there":      {func(p *event.Performance) { p.Timestamp = time.Time{} }, "timestamp"},
		"five minutes ahead is allowed":    {func(p *event.Performance) { p.Timestamp = now.Add(5 * time.Minute) }, ""},
		"more than five minutes is not":    {func(p *event.Performance) { p.Timestamp = now.Add(5*time.Minute + time.Microsecond) }, "timestamp"},
		"the edge of retention is allowed": {func(p *event.Performance) { p.Timestamp = now.Add(-168 * time.Hour) }, ""},
		"older than retention is not":      {func(p *event.Performance) { p.Timestamp = now.Add(-168*time.Hour - 1) }, "timestamp"},
		"app must be there":                {func(p *event.Performance) { p.App = "" }, "app"},
		"app must fit a subject":           {func(p *event.Performance) { p.App = "a b" }, "app"},
		"endpoint must be there":           {func(p *event.Performance) { p.Endpoint = "" }, "endpoint"},
		"500 characters are allowed":       {func(p *event.Performance) { p.Endpoint = strings.Repeat("é", 500) }, ""},
		"501 are not":                      {func(p *event.Performance) { p.Endpoint = strings.Repeat("a", 501) }, "endpoint"},
		"method must be of the list":       {func(p *event.Performance) { p.Method = "GET /" }, "method"},
		"a day is allowed":                 {func(p *event.Performance) { p.ResponseTimeMS = 86_400_000 }, ""},
		"more than a day is not":           {func(p *event.Performance) { p.ResponseTimeMS = 86_400_000.001 }, "response_time_ms"},
		"status 42 is none":                {func(p *event.Performance) { p.StatusCode = 42 }, "status_code"},
		"status 600 is none":               {func(p *event.Performance) { p.StatusCode = 600 }, "status_code"},
		"time runs forward":                {func(p *event.Performance) { p.ResponseTimeMS = -0.001 }, "response_time_ms"},
		"NaN is no duration":               {func(p *event.Performance) { p.ResponseTimeMS = math.NaN() }, "response_time_ms"},
		"Inf is no duration":               {func(p *event.Performance) { p.ResponseTimeMS = math.Inf(1) }, "response_time_ms"},
		"NUL is refused":                   {func(p *event.Performance) { p.UserID = "a\x00" }, "user_id"},
		"broken UTF-8 is refused":          {func(p *event.Performance) { p.ErrorType = "\xff" }, "error_type"},
		"256 characters are too many":      {func(p *event.Performance) { p.TraceID = strings.Repeat("a", 256) }, "trace_id"},
		"seq counts up":                    {func(p *event.Performance) { n := int64(-1); p.Seq = &n }, "seq"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := performance()
			c.change(&p)
			requireField(t, c.field, p.Validate(window()))
		})
	}
}

func TestUsageValidate(t *testing.T) {
	t.Parallel()
	metadata := func(s string) func(*event.Usage) {
		return func(u *event.Usage) { u.Metadata = json.RawMessage(s) }
	}
	cases := map[string]struct {
		change func(*event.Usage)
		field  string
	}{
		"a full event is valid":         {func(*event.Usage) {}, ""},
		"a custom type is valid":        {func(u *event.Usage) { u.EventType = "cart.item_added" }, ""},
		"a type starts with a letter":   {func(u *event.Usage) { u.EventType = "1click" }, "event_type"},
		"a type has no upper case":      {func(u *event.Usage) { u.EventType = "Click" }, "event_type"},
		"a type has 100 characters":     {func(u *event.Usage) { u.EventType = strings.Repeat("a", 101) }, "event_type"},
		"a user is required":            {func(u *event.Usage) { u.UserID = "" }, "user_id"},
		"metadata must be an object":    {metadata(`[1]`), "metadata"},
		"metadata must be JSON":         {metadata(`{"a"`), "metadata"},
		"metadata has 8 KiB":            {metadata(`{"a":"` + strings.Repeat("x", 8<<10) + `"}`), "metadata"},
		"an escaped NUL is refused":     {metadata(`{"a":"\u0000"}`), "metadata"},
		"an escaped backslash is not":   {metadata(`{"a":"\\u0000"}`), ""},
		"a lone surrogate is refused":   {metadata(`{"a":"\ud800"}`), "metadata"},
		"a low surrogate is refused":    {metadata(`{"a":"\udc00x"}`), "metadata"},
		"a surrogate pair is allowed":   {metadata(`{"a":"\ud83d\ude00"}`), ""},
		"endless numbers are refused":   {metadata(`{"a":1e999}`), "metadata"},
		"vanishing numbers are refused": {metadata(`{"a":1e-200000}`), "metadata"},
		"so are they without exponent":  {metadata(`{"a":0.` + strings.Repeat("0", 400) + `1}`), "metadata"},
		"a zero of any exponent is not": {metadata(`{"a":0e-300}`), ""},
		"but of a double's":             {metadata(`{"a":0e999999999}`), "metadata"},
		"an exponent no int holds":      {metadata(`{"a":0e99999999999999999999}`), "metadata"},
		"the largest double is allowed": {metadata(`{"a":-1.7976931348623157e308,"b":5e-324}`), ""},
		"numbers count as written out":  {metadata(`{"a":[` + strings.Repeat("1e300,", 30) + `0]}`), "metadata"},
		"deep nesting is refused":       {metadata(`{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`), "metadata"},
		"an empty object is an object":  {metadata(`{}`), ""},
		"no metadata is fine":           {func(u *event.Usage) { u.Metadata = nil }, ""},
		"broken UTF-8 is refused there": {metadata("{\"a\":\"\xff\"}"), "metadata"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := usage()
			c.change(&u)
			requireField(t, c.field, u.Validate(window()))
		})
	}
}

func requireField(t *testing.T, field string, err *event.FieldError) {
	t.Helper()
	if field == "" {
		require.Nil(t, err)
		return
	}
	require.NotNil(t, err, "%s must be refused", field)
	require.Equal(t, field, err.Field)
	require.NotEmpty(t, err.Reason)
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	p := performance()
	p.Timestamp = time.Date(2026, 3, 14, 16, 9, 26, 535897932, time.FixedZone("CET", 3600))
	p.Method, p.ErrorType, p.StatusCode = "get", "", 404
	p.Normalize()
	require.Equal(t, now, p.Timestamp)
	require.Equal(t, "GET", p.Method)
	require.Equal(t, "404", p.ErrorType)

	for sent, stored := range map[string]string{
		"PATCH": "PATCH", "delete": "DELETE", "ZAP": "_OTHER", "OTHER": "_OTHER", "_other": "_OTHER", "G E T": "_OTHER", "\xff": "_OTHER", "": "",
	} {
		p.Method = sent
		p.Normalize()
		require.Equal(t, stored, p.Method)
	}
}

func TestWire(t *testing.T) {
	t.Parallel()

	t.Run("what goes in comes out", func(t *testing.T) {
		t.Parallel()
		least := event.Performance{ID: event.NewID(), Timestamp: now, App: "orders", Endpoint: "/", Method: "GET", StatusCode: 200}
		long := performance()
		long.Endpoint = strings.Repeat("/long", 100)
		for _, b := range []event.Batch{
			{App: "orders", Kind: event.KindPerformance, Performance: []event.Performance{performance(), least, long}},
			{App: "orders", Kind: event.KindUsage, Usage: []event.Usage{usage(), {ID: event.NewID(), Timestamp: now, App: "orders", EventType: "x", UserID: "u"}}},
		} {
			got, err := event.Decode(event.SchemaVersion, b.Kind, b.Encode(nil))
			require.NoError(t, err)
			require.Equal(t, &b, got)
		}
	})

	t.Run("nested messages of every length are framed right", func(t *testing.T) {
		t.Parallel()
		for n := 1; n < 17000; n += 37 {
			u := usage()
			u.Metadata = json.RawMessage(strings.Repeat("x", n))
			b := event.Batch{App: "a", Kind: event.KindUsage, Usage: []event.Usage{u, u}}
			got, err := event.Decode(1, event.KindUsage, b.Encode([]byte("x"))[1:])
			require.NoError(t, err)
			require.Len(t, got.Usage, 2)
			require.Len(t, got.Usage[1].Metadata, n)
		}
	})

	t.Run("a newer version is refused, not guessed", func(t *testing.T) {
		t.Parallel()
		_, err := event.Decode(event.SchemaVersion+1, event.KindUsage, nil)
		require.ErrorIs(t, err, event.ErrNewerSchema)
	})

	t.Run("fields this version does not know are skipped", func(t *testing.T) {
		t.Parallel()
		b := event.Batch{App: "orders", Kind: event.KindPerformance, Performance: []event.Performance{performance()}}
		data := append(b.Encode(nil), 0xf8, 0x07, 0x2a) // field 127, varint 42
		got, err := event.Decode(1, b.Kind, data)
		require.NoError(t, err)
		require.Equal(t, &b, got)
	})
}

func FuzzDecode(f *testing.F) {
	b := event.Batch{App: "orders", Kind: event.KindPerformance, Performance: []event.Performance{performance()}}
	f.Add(b.Encode(nil))
	u := event.Batch{App: "orders", Kind: event.KindUsage, Usage: []event.Usage{usage()}}
	f.Add(u.Encode(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, kind := range event.Kinds() {
			got, err := event.Decode(1, kind, data)
			if err != nil {
				continue
			}
			again, err := event.Decode(1, kind, got.Encode(nil))
			require.NoError(t, err)
			require.Equal(t, got.Len(), again.Len())
		}
	})
}
