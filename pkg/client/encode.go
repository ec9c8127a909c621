package client

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// The batch is written by hand: an app pays for this with every request, and
// reflection costs several times as much.

const hexDigits = "0123456789abcdef"

// appendBatch appends the request body of ingest's HTTP contract.
func appendBatch(dst []byte, b *event.Batch, dropped int64) []byte {
	dst = append(dst, `{"events":[`...)
	for i := range b.Performance {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendPerformance(dst, &b.Performance[i])
	}
	for i := range b.Usage {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendUsage(dst, &b.Usage[i])
	}
	dst = append(dst, ']')
	if dropped > 0 {
		dst = append(dst, `,"dropped":`...)
		dst = strconv.AppendInt(dst, dropped, 10)
	}
	return append(dst, '}')
}

func appendPerformance(dst []byte, p *event.Performance) []byte {
	dst = appendHead(dst, p.ID, p.Timestamp, p.App)
	dst = appendText(dst, `,"instance":`, p.Instance)
	dst = appendText(dst, `,"endpoint":`, p.Endpoint)
	dst = appendText(dst, `,"method":`, p.Method)
	dst = append(dst, `,"status_code":`...)
	dst = strconv.AppendInt(dst, int64(p.StatusCode), 10)
	dst = append(dst, `,"response_time_ms":`...)
	dst = strconv.AppendFloat(dst, p.ResponseTimeMS, 'f', -1, 64)
	dst = appendText(dst, `,"user_id":`, p.UserID)
	dst = appendText(dst, `,"error_type":`, p.ErrorType)
	dst = appendText(dst, `,"app_version":`, p.AppVersion)
	dst = appendText(dst, `,"session_id":`, p.SessionID)
	dst = appendText(dst, `,"interaction_id":`, p.InteractionID)
	dst = appendText(dst, `,"trace_id":`, p.TraceID)
	dst = appendText(dst, `,"correlation_id":`, p.CorrelationID)
	if p.Seq != nil {
		dst = append(dst, `,"seq":`...)
		dst = strconv.AppendInt(dst, *p.Seq, 10)
	}
	return append(dst, '}')
}

func appendUsage(dst []byte, u *event.Usage) []byte {
	dst = appendHead(dst, u.ID, u.Timestamp, u.App)
	dst = appendText(dst, `,"event_type":`, u.EventType)
	dst = appendText(dst, `,"user_id":`, u.UserID)
	dst = appendText(dst, `,"page_name":`, u.PageName)
	dst = appendText(dst, `,"element_id":`, u.ElementID)
	if u.Success != nil {
		dst = append(dst, `,"success":`...)
		dst = strconv.AppendBool(dst, *u.Success)
	}
	if len(u.Metadata) > 0 {
		dst = append(dst, `,"metadata":`...)
		dst = append(dst, u.Metadata...)
	}
	dst = appendText(dst, `,"app_version":`, u.AppVersion)
	dst = appendText(dst, `,"session_id":`, u.SessionID)
	dst = appendText(dst, `,"interaction_id":`, u.InteractionID)
	return append(dst, '}')
}

func appendHead(dst []byte, id uuid.UUID, at time.Time, app string) []byte {
	dst = append(dst, `{"id":"`...)
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, hexDigits[b>>4], hexDigits[b&0xF])
	}
	dst = append(dst, `","timestamp":"`...)
	dst = at.AppendFormat(dst, "2006-01-02T15:04:05.000000Z")
	dst = append(dst, '"')
	return appendText(dst, `,"app":`, app)
}

// appendText appends key and value, nothing for an empty value.
func appendText(dst []byte, key, s string) []byte {
	if s == "" {
		return dst
	}
	dst = append(dst, key...)
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil { // a string always can be
				quoted = []byte(`""`)
			}
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
