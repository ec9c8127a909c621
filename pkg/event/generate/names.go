package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/lakepulse/lakepulse/pkg/event/fields"
)

// kind is a kind of event with its fields, as templates see it.
type kind struct {
	fields.Kind
	All []field
}

// field is a field with the names that templates use.
type field struct {
	fields.Field
	Go   string // in package event
	API  string // in the types generated from api/openapi.yaml
	Kind string // Go name of its kind
}

func newKind(k fields.Kind) kind {
	out := kind{Kind: k}
	for _, f := range k.Fields {
		out.All = append(out.All, field{Field: f, Go: goName(f.Name, "id", "ms"), API: goName(f.Name, "id"), Kind: k.Go})
	}
	return out
}

// goName makes CamelCase of snake_case, with the initialisms in upper case.
func goName(name string, initialisms ...string) string {
	words := strings.Split(name, "_")
	for i, w := range words {
		if slices.Contains(initialisms, w) {
			words[i] = strings.ToUpper(w)
		} else {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "")
}

// Wire returns the fields that the log's encoding of an event has, by number.
func (k kind) Wire() []field {
	list := slices.DeleteFunc(slices.Clone(k.All), func(f field) bool { return f.Number == 0 })
	slices.SortFunc(list, func(a, b field) int { return cmp.Compare(a.Number, b.Number) })
	return list
}

// Of returns the fields of a type.
func (k kind) Of(types ...fields.Type) []field {
	return slices.DeleteFunc(slices.Clone(k.All), func(f field) bool { return !slices.Contains(types, f.Type) })
}

// Sent returns the fields that senders may send.
func (k kind) Sent() []field {
	return slices.DeleteFunc(slices.Clone(k.All), func(f field) bool { return f.ByIngest })
}

// Client returns the fields a client has values for.
func (k kind) Client(name string) []field {
	return slices.DeleteFunc(slices.Clone(k.All), func(f field) bool { return !slices.Contains(f.Clients, name) })
}

// Dimensions returns the fields whose number of values ingest bounds.
func (k kind) Dimensions() []field {
	return slices.DeleteFunc(slices.Clone(k.All), func(f field) bool { return f.Field.Dimension == 0 })
}

// Personal returns the fields beside user_id that could lead to the user.
func (k kind) Personal() []field {
	return slices.DeleteFunc(slices.Clone(k.All), func(f field) bool { return !f.Personal })
}

// Attributed returns the fields that are read from OTLP attributes as they are.
func (k kind) Attributed() []field {
	return slices.DeleteFunc(slices.Clone(k.All), func(f field) bool { return f.Span == nil && f.Resource == nil })
}

// Has reports whether the kind has a field.
func (k kind) Has(name string) bool {
	return slices.ContainsFunc(k.All, func(f field) bool { return f.Name == name })
}

// Const is the name of the constant of the field's number.
func (f field) Const() string { return "number" + f.Kind + f.Go }

// GoType is the field's type in package event.
func (f field) GoType() string {
	return map[fields.Type]string{
		fields.UUID: "uuid.UUID", fields.Time: "time.Time", fields.Text: "string", fields.Status: "int", fields.Number: "float64",
		fields.Counter: "*int64", fields.Bool: "*bool", fields.Object: "json.RawMessage",
	}[f.Type]
}

// Tag is the field's JSON tag.
func (f field) Tag() string {
	switch {
	case f.ByIngest:
		return f.Name + ",omitzero"
	case f.Required:
		return f.Name
	}
	return f.Name + ",omitempty"
}

// Nullable reports whether the column may be NULL.
func (f field) Nullable() bool { return !f.Required && !f.ByIngest }

// MinText and MaxText are the bounds as Go and people write whole numbers.
func (f field) MinText() string { return strconv.FormatFloat(f.Min, 'f', -1, 64) }

// MaxText is described at MinText.
func (f field) MaxText() string { return strconv.FormatFloat(f.Max, 'f', -1, 64) }

// Least is the least number of characters of a text.
func (f field) Least() int {
	if f.Required {
		return 1
	}
	return 0
}

// Column is the column's name in SQL.
func (f field) Column() string {
	if f.Name == "timestamp" {
		return `"timestamp"`
	}
	return f.Name
}

// Bounds describes what ingest accepts.
func (f field) Bounds() string {
	switch f.Rule {
	case fields.RuleID:
		return "a UUID that is not all zeros"
	case fields.RuleWindow:
		return "RFC 3339 with a zone; within the raw retention and at most 5 minutes ahead"
	case fields.RuleApp:
		return "`" + fields.PatternApp + "`"
	case fields.RuleEventType:
		return "`" + fields.PatternEventType + "`"
	case fields.RuleMethod:
		return strings.Join(fields.Methods, ", ") + "; any other becomes " + fields.OtherMethod
	case fields.RuleObject:
		return "a JSON object of at most 8 KiB, 32 levels deep, of numbers a double can hold"
	case fields.RuleErrorType:
	}
	switch f.Type {
	case fields.Text:
		return strconv.Itoa(f.Least()) + " to " + f.MaxText() + " characters"
	case fields.Status, fields.Number, fields.Counter:
		return f.MinText() + " to " + f.MaxText()
	case fields.Bool:
		return "true, false or null"
	case fields.UUID, fields.Time, fields.Object:
	}
	return "set by ingest"
}

// Senders names the clients that send the field.
func (f field) Senders() string {
	list := slices.Clone(f.Clients)
	if f.Span != nil || f.Resource != nil {
		list = append(list, "OTLP")
	}
	if len(list) == 0 {
		return "ingest"
	}
	return strings.Join(list, ", ")
}

// Proto is the field's type in the log's encoding.
func (f field) Proto() string {
	return map[fields.Type]string{
		fields.UUID: "bytes", fields.Time: "sfixed64", fields.Text: "string", fields.Status: "uint32", fields.Number: "double",
		fields.Counter: "optional int64", fields.Bool: "optional bool", fields.Object: "bytes",
	}[f.Type]
}

// ProtoDoc is the field's description with the unit of its encoding.
func (f field) ProtoDoc() string {
	switch f.Type {
	case fields.UUID:
		return "16 bytes; " + f.Doc
	case fields.Time:
		return "microseconds since 1970-01-01 UTC; " + f.Doc
	case fields.Object:
		return "JSON text; " + f.Doc
	case fields.Text, fields.Status, fields.Number, fields.Counter, fields.Bool:
	}
	return f.Doc
}

// Scanned is the field's type in records of stored events, where it is known.
func (f field) Scanned() string {
	return map[fields.Type]string{
		fields.Text: "string", fields.Status: "int", fields.Number: "float64", fields.Counter: "int64", fields.Bool: "bool",
	}[f.Type]
}

// TypeScript is the field's type in the browser.
func (f field) TypeScript() string {
	return map[fields.Type]string{
		fields.UUID: "string", fields.Time: "string", fields.Text: "string", fields.Status: "number", fields.Number: "number",
		fields.Counter: "number", fields.Bool: "boolean | null", fields.Object: "Record<string, unknown>",
	}[f.Type]
}

// Python is the field's type in the Python client.
func (f field) Python() string {
	return map[fields.Type]string{
		fields.UUID: "str", fields.Time: "str", fields.Text: "str", fields.Status: "int", fields.Number: "float",
		fields.Counter: "int", fields.Bool: "bool", fields.Object: "Dict[str, Any]",
	}[f.Type]
}

// Constant is the kind's name in constants.
func (k kind) Constant() string { return strings.ToUpper(k.Name) }

// ClientType is the field's type in the Go client, which imports nothing.
func (f field) ClientType() string {
	if f.Type == fields.UUID {
		return "ID"
	}
	return f.GoType()
}
