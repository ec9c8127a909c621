package aggregate

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// keyRows are rows of aggregated_metrics or aggregated_days in the binary form
// of COPY: a run writes so many of them that parsing their texts and unnesting
// their arrays took Postgres longer than storing them.
type keyRows struct {
	b []byte
	n int
}

const (
	copyKeys = `
COPY %s (metric_type, time_bucket, app, aggregated_values, sample_count, id_checksum, error_count, anonymous_count, success_count,
     failure_count, response_time_sum, response_time_min, response_time_max, histogram, users, endpoint_path, method, event_type)
FROM STDIN (FORMAT binary)`
	copyFields = 18
	// copyHead is the signature, no flags and no extension; copyEnd what no row begins with.
	copyHead     = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	copyEnd      = "\xff\xff"
	jsonbVersion = 1
)

// add adds keys of the tally to the rows.
func (k *keyRows) add(t *tally, types *pgtype.Map, bucket time.Time, sums map[string]*sum) error {
	if k.b == nil {
		k.b = append(make([]byte, 0, 1024*(len(sums)+1)), copyHead...)
	}
	micros := bucket.Sub(postgresTime(0)).Microseconds()
	for _, s := range sums {
		users := t.users.resolve(&s.users)
		k.b = binary.BigEndian.AppendUint16(k.b, copyFields)
		k.text(string(t.kind))
		k.int64(micros)
		k.text(s.app)
		k.sized(func(b []byte) []byte { return t.appendValues(append(b, jsonbVersion), s, len(users)) })
		k.int64(s.n)
		var err error
		k.sized(func(b []byte) []byte {
			b, err = types.Encode(pgtype.NumericOID, pgtype.BinaryFormatCode, pgtype.Numeric{Int: s.checksum.big(), Valid: true}, b)
			return b
		})
		if err != nil {
			return fmt.Errorf("checksum of %s: %w", s.app, err)
		}
		for _, n := range [...]int64{s.errors, s.anonymous, s.successes, s.failures} {
			k.int64(n)
		}
		for _, v := range [...]float64{s.msSum, s.msMin, s.msMax} {
			k.int64(int64(math.Float64bits(v))) // the bits are the encoding
		}
		k.sized(s.appendHistogram)
		k.sized(func(b []byte) []byte { return appendArray(b, users) })
		k.text(s.path)
		k.text(s.method)
		k.text(s.eventType)
		k.n++
	}
	return nil
}

// write sends the rows to a table.
func (k *keyRows) write(ctx context.Context, tx pgx.Tx, table string) error {
	if k.n == 0 {
		return nil
	}
	_, err := tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(append(k.b, copyEnd...)), fmt.Sprintf(copyKeys, table))
	return err
}

func (k *keyRows) text(s string) {
	k.b = append(binary.BigEndian.AppendUint32(k.b, uint32(len(s))), s...) // far below a gigabyte
}

func (k *keyRows) int64(n int64) {
	k.b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(k.b, 8), uint64(n)) // two's complement is the encoding
}

// sized adds what f appends, with its size before it.
func (k *keyRows) sized(f func(b []byte) []byte) {
	at := len(k.b)
	k.b = f(append(k.b, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(k.b[at:], uint32(len(k.b)-at-4)) // far below a gigabyte
}

// appendArray appends an int[] in Postgres' binary form.
func appendArray(dst []byte, numbers []int32) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(min(1, len(numbers)))) // dimensions: none of an empty one
	dst = binary.BigEndian.AppendUint32(dst, 0)                            // no nulls
	dst = binary.BigEndian.AppendUint32(dst, pgtype.Int4OID)
	if len(numbers) == 0 {
		return dst
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(numbers))) // users of an hour
	dst = binary.BigEndian.AppendUint32(dst, 1)                    // the first index
	for _, n := range numbers {
		dst = binary.BigEndian.AppendUint32(dst, 4)
		dst = binary.BigEndian.AppendUint32(dst, uint32(n)) // two's complement is the encoding
	}
	return dst
}
