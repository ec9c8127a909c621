package metricsdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Position is how far a stream of the log is stored.
type Position struct {
	Stream        string
	Incarnation   time.Time // when the stream was made: another value is another stream
	Sequence      uint64    // every message up to it is stored
	StoredThrough time.Time // every message published before it is stored
}

// WritePosition writes down a position. Neither half of it goes back: another
// writer may have looked later, and a log that is empty at present claims a
// little less than the time of its last message.
func WritePosition(ctx context.Context, db DB, p Position) error {
	_, err := db.Exec(ctx, `
INSERT INTO stream_positions AS p (stream, incarnation, sequence, stored_through) VALUES ($1, $2, $3, $4)
ON CONFLICT (stream) DO UPDATE SET incarnation = EXCLUDED.incarnation, updated_at = now(),
       sequence = CASE WHEN p.incarnation = EXCLUDED.incarnation THEN greatest(p.sequence, EXCLUDED.sequence) ELSE EXCLUDED.sequence END,
       stored_through = CASE WHEN p.incarnation = EXCLUDED.incarnation THEN greatest(p.stored_through, EXCLUDED.stored_through)
                             ELSE EXCLUDED.stored_through END
 WHERE p.incarnation <> EXCLUDED.incarnation OR p.stored_through < EXCLUDED.stored_through OR p.sequence < EXCLUDED.sequence`,
		p.Stream, p.Incarnation, int64(p.Sequence), p.StoredThrough) // sequences stay below 2^63
	if err != nil {
		return fmt.Errorf("store position: %w", err)
	}
	return nil
}

// ReadStoredThrough returns up to when everything published is stored, in every
// stream; the zero time when no writer has ever said.
func ReadStoredThrough(ctx context.Context, db DB) (time.Time, error) {
	var at *time.Time
	if err := db.QueryRow(ctx, `SELECT min(stored_through) FROM stream_positions WHERE isfinite(stored_through)`).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("read positions: %w", err)
	}
	return utc(at), nil
}

// ReadPosition returns how far a stream is stored by the database's own record,
// and whether it has one.
func ReadPosition(ctx context.Context, db DB, stream string) (p Position, found bool, err error) {
	err = db.QueryRow(ctx, `SELECT incarnation, sequence, stored_through FROM stream_positions WHERE stream = $1`, stream).
		Scan(&p.Incarnation, &p.Sequence, &p.StoredThrough)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, false, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("read position: %w", err)
	}
	p.Stream, p.Incarnation, p.StoredThrough = stream, p.Incarnation.UTC(), p.StoredThrough.UTC()
	return p, true, nil
}

// AdvancePosition writes a position over the one that was seen. It changes nothing
// where the database has an older one by now, or none any more: somebody has to
// notice that it went back.
func AdvancePosition(ctx context.Context, db DB, p, seen Position) error {
	_, err := db.Exec(ctx, `
UPDATE stream_positions SET sequence = greatest(sequence, $3), stored_through = greatest(stored_through, $4), updated_at = now()
 WHERE stream = $1 AND incarnation = $2 AND sequence >= $5 AND (stored_through < $4 OR sequence < $3)`,
		p.Stream, p.Incarnation, int64(p.Sequence), p.StoredThrough, int64(seen.Sequence)) // sequences stay below 2^63
	if err != nil {
		return fmt.Errorf("store position: %w", err)
	}
	return nil
}
