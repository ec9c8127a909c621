package lakepulse

import (
	"encoding/json"
	"strconv"
	"time"
)

// The batch is written without reflection, which costs several times as much: an
// app pays for it with every request.

const hexDigits = "0123456789abcdef"

// appendBatch appends the body of a request to ingest.
func appendBatch(dst []byte, b *Batch, dropped int64) []byte {
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

// appendHead appends the fields that both kinds begin with.
func appendHead(dst []byte, id ID, at time.Time, app string) []byte {
	dst = append(dst, `{"id":"`...)
	dst = appendID(dst, id)
	dst = append(dst, `","timestamp":"`...)
	dst = at.AppendFormat(dst, "2006-01-02T15:04:05.000000Z")
	dst = append(dst, '"')
	return appendText(dst, `,"app":`, app)
}

func appendID(dst []byte, id ID) []byte {
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, hexDigits[b>>4], hexDigits[b&0xF])
	}
	return dst
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
