package aggregate

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/lakepulse/lakepulse/pkg/pgbinary"
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
)

// add adds keys of the tally to the rows.
func (k *keyRows) add(t *tally, types *pgtype.Map, bucket time.Time, sums map[string]*sum) error {
	if k.b == nil {
		k.b = append(make([]byte, 0, 1024*(len(sums)+1)), pgbinary.CopyHeader...)
	}
	for _, s := range sums {
		users := t.users.resolve(&s.users)
		k.b = pgbinary.AppendRow(k.b, copyFields)
		k.b = pgbinary.AppendText(k.b, string(t.kind))
		k.b = pgbinary.AppendTime(k.b, bucket)
		k.b = pgbinary.AppendText(k.b, s.app)
		k.b = pgbinary.AppendSized(k.b, func(b []byte) []byte {
			return t.appendValues(append(b, pgbinary.JSONBVersion), s, len(users))
		})
		k.b = pgbinary.AppendInt8(k.b, s.n)
		var err error
		k.b = pgbinary.AppendSized(k.b, func(b []byte) []byte {
			b, err = types.Encode(pgtype.NumericOID, pgtype.BinaryFormatCode, pgtype.Numeric{Int: s.checksum.big(), Valid: true}, b)
			return b
		})
		if err != nil {
			return fmt.Errorf("checksum of %s: %w", s.app, err)
		}
		for _, n := range [...]int64{s.errors, s.anonymous, s.successes, s.failures} {
			k.b = pgbinary.AppendInt8(k.b, n)
		}
		for _, v := range [...]float64{s.msSum, s.msMin, s.msMax} {
			k.b = pgbinary.AppendFloat8(k.b, v)
		}
		k.b = pgbinary.AppendSized(k.b, s.appendHistogram)
		k.b = pgbinary.AppendSized(k.b, func(b []byte) []byte { return pgbinary.AppendInt4s(b, users) })
		for _, text := range [...]string{s.path, s.method, s.eventType} {
			k.b = pgbinary.AppendText(k.b, text)
		}
		k.n++
	}
	return nil
}

// write sends the rows to a table.
func (k *keyRows) write(ctx context.Context, tx pgx.Tx, table string) error {
	if k.n == 0 {
		return nil
	}
	_, err := tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(append(k.b, pgbinary.CopyTrailer...)), fmt.Sprintf(copyKeys, table))
	return err
}
