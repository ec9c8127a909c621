package event

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// A batch on the log is a Protocol Buffers message. The code that encodes and
// decodes it is generated from pkg/event/fields, over protowire: it runs for
// every event that passes, and reflection there costs more than the rest of the
// path. Any protobuf library reads it with the schema in clients/spec/batch.proto,
// which is generated too.
//
// Within a version fields may be added: readers skip what they do not know.
// A change of meaning is a new version: add it to Decode's switch and upgrade
// what the older one wrote.

// SchemaVersion is the version this code writes. The log carries it beside
// each message, in the header [HeaderSchema].
const SchemaVersion = 1

// HeaderSchema is the message header that names the schema version.
const HeaderSchema = "Lakepulse-Schema"

// ErrNewerSchema is returned for a batch of a version this code does not know.
var ErrNewerSchema = errors.New("event: batch of a newer schema version than this program knows")

var errMalformed = errors.New("event: malformed batch")

// numberOfApp is the number of a batch's app.
const numberOfApp protowire.Number = 1

// Encode appends the batch to dst in the current schema version.
func (b *Batch) Encode(dst []byte) []byte {
	return b.encodeEvents(appendString(dst, numberOfApp, b.App))
}

// Decode reads a batch of the given schema version and kind. Errors are
// [ErrNewerSchema] or say what is malformed; neither can be cured by retrying.
func Decode(version int, kind Kind, data []byte) (*Batch, error) {
	b := &Batch{}
	if err := b.Decode(version, kind, data); err != nil {
		return nil, err
	}
	return b, nil
}

// Decode reads a batch as [Decode] does, over what b holds: its lists are used
// again. After an error b holds nothing of use.
func (b *Batch) Decode(version int, kind Kind, data []byte) error {
	if version > SchemaVersion {
		return fmt.Errorf("%w: %d > %d", ErrNewerSchema, version, SchemaVersion)
	}
	if version != 1 {
		return fmt.Errorf("%w: no schema version %d", errMalformed, version)
	}
	if !kind.Valid() {
		return fmt.Errorf("%w: no kind %q", errMalformed, kind)
	}
	b.reset(kind)
	text := string(data)
	if err := b.grow(data, text); err != nil {
		return err
	}
	list := kind.list()
	err := eachField(data, text, func(n protowire.Number, v value) error {
		switch n {
		case numberOfApp:
			b.App = string(v.bytes) // a copy: counters keep it longer than the message lives
		case list:
			return b.decodeEvent(v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if b.App == "" {
		return fmt.Errorf("%w: no app", errMalformed)
	}
	b.setApp()
	return nil
}

// grow makes room for the batch's events, so that the list is not copied over
// and over while it is read.
func (b *Batch) grow(data []byte, text string) error {
	events, list := 0, b.Kind.list()
	err := eachField(data, text, func(n protowire.Number, _ value) error {
		if n == list {
			events++
		}
		return nil
	})
	b.growBy(events)
	return err
}
