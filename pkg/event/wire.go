package event

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// A batch on the log is a Protocol Buffers message. It is written by hand over
// protowire because a batch is encoded and decoded once for every event that
// passes, and reflection there costs more than the rest of the path. Any
// protobuf library reads it with this schema:
//
//	message Batch {
//	  string app = 1;
//	  repeated Performance performance = 2;
//	  repeated Usage usage = 3;
//	}
//	message Performance {
//	  bytes id = 1;                 // 16 bytes
//	  sfixed64 timestamp = 2;       // microseconds since 1970-01-01 UTC
//	  sfixed64 received_at = 3;     // microseconds since 1970-01-01 UTC
//	  string user_id = 4;
//	  string app_version = 5;
//	  string session_id = 6;
//	  string interaction_id = 7;
//	  optional int64 seq = 8;
//	  string endpoint = 9;
//	  string method = 10;
//	  uint32 status_code = 11;
//	  double response_time_ms = 12;
//	  string instance = 13;
//	  string error_type = 14;
//	  string trace_id = 15;
//	  string correlation_id = 16;
//	}
//	message Usage {                 // 1 to 8 as in Performance
//	  string event_type = 9;
//	  string page_name = 10;
//	  string element_id = 11;
//	  optional bool success = 12;
//	  bytes metadata = 13;          // JSON text
//	}
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

const (
	fieldApp         protowire.Number = 1
	fieldPerformance protowire.Number = 2
	fieldUsage       protowire.Number = 3

	fieldID            protowire.Number = 1
	fieldTimestamp     protowire.Number = 2
	fieldReceivedAt    protowire.Number = 3
	fieldUserID        protowire.Number = 4
	fieldAppVersion    protowire.Number = 5
	fieldSessionID     protowire.Number = 6
	fieldInteractionID protowire.Number = 7
	fieldSeq           protowire.Number = 8

	fieldEndpoint      protowire.Number = 9
	fieldMethod        protowire.Number = 10
	fieldStatusCode    protowire.Number = 11
	fieldResponseTime  protowire.Number = 12
	fieldInstance      protowire.Number = 13
	fieldErrorType     protowire.Number = 14
	fieldTraceID       protowire.Number = 15
	fieldCorrelationID protowire.Number = 16

	fieldEventType protowire.Number = 9
	fieldPageName  protowire.Number = 10
	fieldElementID protowire.Number = 11
	fieldSuccess   protowire.Number = 12
	fieldMetadata  protowire.Number = 13
)

// Encode appends the batch to dst in the current schema version.
func (b *Batch) Encode(dst []byte) []byte {
	dst = appendString(dst, fieldApp, b.App)
	for i := range b.Performance {
		dst = appendMessage(dst, fieldPerformance, b.Performance[i].encode)
	}
	for i := range b.Usage {
		dst = appendMessage(dst, fieldUsage, b.Usage[i].encode)
	}
	return dst
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
	if kind != KindPerformance && kind != KindUsage {
		return fmt.Errorf("%w: no kind %q", errMalformed, kind)
	}
	*b = Batch{Kind: kind, Performance: b.Performance[:0], Usage: b.Usage[:0]}
	text := string(data)
	if err := b.grow(data, text); err != nil {
		return err
	}
	err := eachField(data, text, func(n protowire.Number, v value) error {
		switch {
		case n == fieldApp:
			b.App = string(v.bytes) // of its own: counters are kept by it, longer than the message
		case n == fieldPerformance && kind == KindPerformance:
			b.Performance = append(b.Performance, Performance{})
			return b.Performance[len(b.Performance)-1].decode(v)
		case n == fieldUsage && kind == KindUsage:
			b.Usage = append(b.Usage, Usage{})
			return b.Usage[len(b.Usage)-1].decode(v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if b.App == "" {
		return fmt.Errorf("%w: no app", errMalformed)
	}
	for i := range b.Performance {
		b.Performance[i].App = b.App
	}
	for i := range b.Usage {
		b.Usage[i].App = b.App
	}
	return nil
}

// grow makes room for the batch's events, so that the list is not copied over
// and over while it is read.
func (b *Batch) grow(data []byte, text string) error {
	performance, usage := 0, 0
	err := eachField(data, text, func(n protowire.Number, _ value) error {
		switch {
		case n == fieldPerformance && b.Kind == KindPerformance:
			performance++
		case n == fieldUsage && b.Kind == KindUsage:
			usage++
		}
		return nil
	})
	b.Performance, b.Usage = slices.Grow(b.Performance, performance), slices.Grow(b.Usage, usage)
	return err
}

func (p *Performance) encode(dst []byte) []byte {
	dst = appendHead(dst, p.ID, p.Timestamp, p.ReceivedAt)
	dst = appendString(dst, fieldUserID, p.UserID)
	dst = appendString(dst, fieldAppVersion, p.AppVersion)
	dst = appendString(dst, fieldSessionID, p.SessionID)
	dst = appendString(dst, fieldInteractionID, p.InteractionID)
	dst = appendSeq(dst, p.Seq)
	dst = appendString(dst, fieldEndpoint, p.Endpoint)
	dst = appendString(dst, fieldMethod, p.Method)
	dst = protowire.AppendTag(dst, fieldStatusCode, protowire.VarintType)
	dst = protowire.AppendVarint(dst, uint64(p.StatusCode))
	dst = protowire.AppendTag(dst, fieldResponseTime, protowire.Fixed64Type)
	dst = protowire.AppendFixed64(dst, math.Float64bits(p.ResponseTimeMS))
	dst = appendString(dst, fieldInstance, p.Instance)
	dst = appendString(dst, fieldErrorType, p.ErrorType)
	dst = appendString(dst, fieldTraceID, p.TraceID)
	return appendString(dst, fieldCorrelationID, p.CorrelationID)
}

func (p *Performance) decode(m value) error {
	return eachField(m.bytes, m.text, func(n protowire.Number, v value) (err error) {
		switch n {
		case fieldID:
			p.ID, err = v.uuid()
		case fieldTimestamp:
			p.Timestamp = v.time()
		case fieldReceivedAt:
			p.ReceivedAt = v.time()
		case fieldUserID:
			p.UserID = v.text
		case fieldAppVersion:
			p.AppVersion = v.text
		case fieldSessionID:
			p.SessionID = v.text
		case fieldInteractionID:
			p.InteractionID = v.text
		case fieldSeq:
			p.Seq = v.seq()
		case fieldEndpoint:
			p.Endpoint = v.text
		case fieldMethod:
			p.Method = v.text
		case fieldStatusCode:
			p.StatusCode = int(int32(v.number)) // a status out of range is the database's to refuse
		case fieldResponseTime:
			p.ResponseTimeMS = math.Float64frombits(v.number)
		case fieldInstance:
			p.Instance = v.text
		case fieldErrorType:
			p.ErrorType = v.text
		case fieldTraceID:
			p.TraceID = v.text
		case fieldCorrelationID:
			p.CorrelationID = v.text
		default: // none of this version's: skipped
		}
		return err
	})
}

func (u *Usage) encode(dst []byte) []byte {
	dst = appendHead(dst, u.ID, u.Timestamp, u.ReceivedAt)
	dst = appendString(dst, fieldUserID, u.UserID)
	dst = appendString(dst, fieldAppVersion, u.AppVersion)
	dst = appendString(dst, fieldSessionID, u.SessionID)
	dst = appendString(dst, fieldInteractionID, u.InteractionID)
	dst = appendSeq(dst, u.Seq)
	dst = appendString(dst, fieldEventType, u.EventType)
	dst = appendString(dst, fieldPageName, u.PageName)
	dst = appendString(dst, fieldElementID, u.ElementID)
	if u.Success != nil {
		dst = protowire.AppendTag(dst, fieldSuccess, protowire.VarintType)
		dst = protowire.AppendVarint(dst, protowire.EncodeBool(*u.Success))
	}
	if len(u.Metadata) > 0 {
		dst = protowire.AppendTag(dst, fieldMetadata, protowire.BytesType)
		dst = protowire.AppendBytes(dst, u.Metadata)
	}
	return dst
}

func (u *Usage) decode(m value) error {
	return eachField(m.bytes, m.text, func(n protowire.Number, v value) (err error) {
		switch n {
		case fieldID:
			u.ID, err = v.uuid()
		case fieldTimestamp:
			u.Timestamp = v.time()
		case fieldReceivedAt:
			u.ReceivedAt = v.time()
		case fieldUserID:
			u.UserID = v.text
		case fieldAppVersion:
			u.AppVersion = v.text
		case fieldSessionID:
			u.SessionID = v.text
		case fieldInteractionID:
			u.InteractionID = v.text
		case fieldSeq:
			u.Seq = v.seq()
		case fieldEventType:
			u.EventType = v.text
		case fieldPageName:
			u.PageName = v.text
		case fieldElementID:
			u.ElementID = v.text
		case fieldSuccess:
			ok := protowire.DecodeBool(v.number)
			u.Success = &ok
		case fieldMetadata:
			u.Metadata = append([]byte(nil), v.bytes...)
		default: // as above
		}
		return err
	})
}
