// Package fields is the table of an event's fields, one table per kind of
// event. Everything that lists fields is generated from it by the program in
// pkg/event/generate: the structs, validation, the log's encoding, ingest's
// readers of JSON and of OTLP attributes, the columns of the raw tables, the
// columns of lists and exports, the clients' encoders and types, and
// clients/spec/fields.json.
//
// To add a field: add it here, add its column in a migration, describe it in
// api/openapi.yaml, and run `go generate ./pkg/event ./api`.
//
// # Invariants
//
//   - The order of a kind's fields is the order of columns in exports. It only grows at its end.
//   - A field's Number is its number in the log's encoding and is never used again for another field.
//   - The package imports nothing of ours, so that the generator also compiles
//     when what it generated does not.
package fields

// Type is how a field's value is held, sent and stored.
type Type string

// The types. Text is empty and Counter and Bool are nil where the value is not
// known; all three are stored as NULL then.
const (
	UUID    Type = "uuid"    // uuid.UUID, uuid
	Time    Type = "time"    // time.Time, RFC 3339 in JSON, timestamptz; microseconds
	Text    Type = "text"    // string, text
	Status  Type = "status"  // int, smallint
	Number  Type = "number"  // float64, double precision
	Counter Type = "counter" // *int64, bigint
	Bool    Type = "bool"    // *bool, boolean
	Object  Type = "object"  // json.RawMessage, jsonb
)

// Rule is a check beyond the bounds of a field's type.
type Rule string

// The rules. A field without one is checked by its type and bounds alone.
const (
	RuleID        Rule = "id"         // a UUID that is not all zeros
	RuleWindow    Rule = "window"     // within the raw retention, at most 5 minutes ahead
	RuleApp       Rule = "app"        // PatternApp
	RuleEventType Rule = "event_type" // PatternEventType
	RuleMethod    Rule = "method"     // one of Methods, or OtherMethod
	RuleErrorType Rule = "error_type" // text; without one, a status of 400 or more takes its place
	RuleObject    Rule = "object"     // a JSON object that jsonb can hold
)

// The patterns of names.
const (
	PatternApp       = `^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`
	PatternEventType = `^[a-z][a-z0-9_.]{0,99}$`
)

// Methods are the HTTP methods that are stored as they are. Any other is stored
// as OtherMethod, so that a client cannot make up values of a dimension.
var Methods = []string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}

// IsMethod reports whether s is one of Methods.
func IsMethod(s string) bool {
	switch s {
	case "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT":
		return true
	}
	return false
}

// OtherMethod stands for every method that is not in Methods. OpenTelemetry's
// conventions use the same text.
const OtherMethod = "_OTHER"

// Other is the value of a dimension that stands for all values past the bound
// of the dimension. Senders may not send it.
const Other = "(other)"

// MaxDropped bounds the count of dropped events in one report of a sender.
const MaxDropped = 1_000_000_000_000

// Field is one field of a kind of event.
type Field struct {
	Name     string // in JSON, the column, the CSV head
	Doc      string // one line: meaning and unit
	Number   int    // in the log's encoding; 0: the message of a batch holds it (app)
	Type     Type
	Rule     Rule
	Required bool
	Min, Max float64 // bounds of Status, Number and Counter; Max of Text in characters, of Object in bytes
	ByIngest bool    // set by ingest, never read from a sender
	// Dimension marks a field by which numbers are grouped: a sender could make
	// up any number of its values, so ingest bounds how many an app has an hour.
	Dimension int
	// Personal marks a field beside user_id that could lead to the user:
	// `lakepulse forget` empties it.
	Personal bool
	// Clients are the clients that have a value for the field: go, python, browser.
	Clients []string
	// Span and Resource are the OTLP attributes the field is read from, in this
	// order. Fields that need more than that are read by hand in services/ingest.
	Span, Resource []string
}

// Kind is one kind of event.
type Kind struct {
	Name   string // in subjects, answers and the column metric_type
	Go     string // the struct, and the list in a batch
	Doc    string
	Number int    // of the event in the log's message of a batch
	Table  string // raw table
	Record string // schema of a stored event in api/openapi.yaml
	Path   string // where ingest takes it
	// People reports whether a person may send it, not only an app instance.
	People bool
	Fields []Field
}

// The bounds of fields. Texts are counted in characters, metadata in bytes.
const (
	MaxApp       = 100
	MaxEndpoint  = 500
	MaxEventType = 100
	MaxText      = 255 // texts without a bound of their own
	MaxMetadata  = 8 << 10

	maxMethod   = 7         // the longest of Methods
	maxCounter  = 1<<53 - 1 // the largest whole number every JSON reader holds exactly
	maxDuration = 24 * 60 * 60 * 1000
)

func text(number int, name, doc string) Field {
	return Field{Name: name, Number: number, Doc: doc, Type: Text, Max: MaxText}
}

func (f Field) from(clients ...string) Field { f.Clients = clients; return f }

func (f Field) dimension(values int) Field { f.Dimension = values; return f }

func (f Field) span(attributes ...string) Field { f.Span = attributes; return f }

func (f Field) resource(attributes ...string) Field { f.Resource = attributes; return f }

func (f Field) personal() Field { f.Personal = true; return f }

func (f Field) required() Field { f.Required = true; return f }

func (f Field) longest(characters float64) Field { f.Max = characters; return f }

func (f Field) rule(r Rule) Field { f.Rule = r; return f }

const (
	goClient = "go"
	python   = "python"
	browser  = "browser"
)

// head are the fields every kind begins with.
func head() []Field {
	return []Field{
		{Name: "id", Number: 1, Doc: "made where the event is made; UUIDv7 preferred", Type: UUID, Rule: RuleID, Required: true,
			Clients: []string{goClient, python, browser}},
		{Name: "timestamp", Number: 2, Doc: "when it happened by the sender's clock, UTC, microseconds", Type: Time, Rule: RuleWindow,
			Required: true, Clients: []string{goClient, python, browser}},
		{Name: "received_at", Number: 3, Doc: "when ingest took it, by ingest's clock", Type: Time, ByIngest: true},
		{Name: "app", Doc: "the app it belongs to", Type: Text, Rule: RuleApp, Required: true, Max: MaxApp, Dimension: 200,
			Clients: []string{goClient, python, browser}},
	}
}

func seq(doc string) Field {
	return Field{Name: "seq", Number: 8, Doc: doc, Type: Counter, Max: maxCounter}
}

// Kinds are all kinds of events, in the order tables and reports use.
var Kinds = []Kind{
	{
		Name: "performance", Go: "Performance", Number: 2, Table: "performance_metrics", Record: "RequestRecord",
		Path: "/api/v1/metrics/performance-events",
		Doc:  "one API request that an app instance served",
		Fields: append(head(),
			text(13, "instance", "process or replica").from(goClient, python).resource("service.instance.id", "host.name"),
			text(9, "endpoint", "route template where the framework knows it").required().longest(MaxEndpoint).dimension(1000).from(goClient, python),
			text(10, "method", "HTTP method in upper case, _OTHER for one that HTTP does not define").required().longest(maxMethod).
				rule(RuleMethod).from(goClient, python),
			Field{Name: "status_code", Number: 11, Doc: "HTTP status", Type: Status, Required: true, Min: 100, Max: 599, Clients: []string{goClient, python}},
			Field{Name: "response_time_ms", Number: 12, Doc: "milliseconds, at most a day", Type: Number, Required: true, Max: maxDuration,
				Clients: []string{goClient, python}},
			text(4, "user_id", "who the request was for; empty: anonymous").from(goClient, python).
				span("enduser.id", "user.id", "http.request.header.x-forwarded-email", "http.request.header.x_forwarded_email"),
			text(14, "error_type", "kind of error; set when the status is 400 or more").rule(RuleErrorType).dimension(200).from(goClient, python),
			text(5, "app_version", "version of the app").dimension(100).from(goClient, python).resource("service.version"),
			text(6, "session_id", "browser tab the request came from").personal().from(goClient, python).span("session.id"),
			text(7, "interaction_id", "id of the usage event that caused the request").personal().from(goClient, python).
				span("http.request.header.x-lakepulse-interaction-id", "http.request.header.x_lakepulse_interaction_id"),
			text(15, "trace_id", "W3C trace id").from(goClient, python),
			text(16, "correlation_id", "X-Correlation-ID of the request").from(goClient, python),
			seq("counter of the sending instance; a gap is a loss").from(goClient, python),
		),
	},
	{
		Name: "usage", Go: "Usage", Number: 3, Table: "usage_events", Record: "UsageRecord",
		Path: "/api/v1/metrics/usage-events", People: true,
		Doc: "one interaction of a person with an app",
		Fields: append(head(),
			text(9, "event_type", "what happened").required().longest(MaxEventType).rule(RuleEventType).dimension(200).from(goClient, python, browser),
			text(4, "user_id", "who did it: the verified sender, or whom an app names").required().from(goClient, python),
			text(10, "page_name", "page it happened on").dimension(500).from(goClient, python, browser),
			text(11, "element_id", "element it happened on").dimension(1000).from(goClient, python, browser),
			Field{Name: "success", Number: 12, Doc: "whether what was attempted worked; absent where that does not apply", Type: Bool,
				Clients: []string{goClient, python, browser}},
			Field{Name: "metadata", Number: 13, Doc: "JSON object of at most 8 KiB", Type: Object, Rule: RuleObject, Max: MaxMetadata, Personal: true,
				Clients: []string{goClient, python, browser}},
			text(5, "app_version", "version of the app").dimension(100).from(goClient, python, browser),
			text(6, "session_id", "browser tab").personal().from(goClient, python, browser),
			text(7, "interaction_id", "id of the event that began the interaction").personal().from(goClient, python, browser),
			seq("counter of the tab; a gap is a loss").from(browser),
		),
	},
}
