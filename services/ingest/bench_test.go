package ingest

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

// BenchmarkDecode reads a request of 100 performance events of 270 bytes.
func BenchmarkDecode(b *testing.B) {
	var body bytes.Buffer
	body.WriteString(`{"events":[`)
	for i := range 100 {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"id":"018f0000-0000-7000-8000-%012x","timestamp":%q,"app":"bench","instance":"bench-1","endpoint":"/api/v1/items/{id}","method":"GET","status_code":200,"response_time_ms":12.345,"user_id":"user%03d@example.com","app_version":"1.4","seq":%d}`,
			i, time.Now().UTC().Format(time.RFC3339Nano), i, i)
	}
	body.WriteString(`]}`)
	b.ReportAllocs()
	b.SetBytes(int64(body.Len()))
	for b.Loop() {
		env, err := decode(body.Bytes(), blankPerformance(), setPerformance)
		if err != nil || len(env.events) != 100 {
			b.Fatal(err)
		}
	}
}
