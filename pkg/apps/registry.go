package apps

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lakepulse/lakepulse/pkg/auth"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
)

const (
	maxNote = 200
	// maxName bounds the name of a reader or of a service principal, in characters.
	maxName = event.MaxText
	// CommandLine is who made a change that came from no signed-in person.
	CommandLine = "command line"
)

// ReaderType says what the name of a reader names.
type ReaderType string

// The types of readers.
const (
	ReaderUser  ReaderType = "user"  // a userName of the workspace
	ReaderGroup ReaderType = "group" // the display name of a group
)

// Reader is a person or a group that may read the numbers of one app.
type Reader struct {
	Type ReaderType
	Name string
}

// Registry reads and changes the record. Safe for concurrent use.
type Registry struct {
	pool  *pgxpool.Pool
	clock func() time.Time
}

// NewRegistry returns the registry in a migrated database.
func NewRegistry(pool *pgxpool.Pool, clock func() time.Time) *Registry {
	return &Registry{pool: pool, clock: clock}
}

// Create records an app. Creating it again changes its note only.
// Its error is a *fault.Error, as are those of all methods that change something.
func (r *Registry) Create(ctx context.Context, app, note, by string) error {
	if err := validApp(app); err != nil {
		return err
	}
	if err := validNote(note); err != nil {
		return err
	}
	return r.exec(ctx, "record the app", `
INSERT INTO apps (app, note, created_by) VALUES ($1, $2, $3)
ON CONFLICT (app) DO UPDATE SET note = EXCLUDED.note`, app, note, by)
}

// Remove forgets an app with its keys, principals and readers. Its events stay
// for as long as any do. The error is NotFound for an app that is not recorded.
func (r *Registry) Remove(ctx context.Context, app string) error {
	return r.changeOne(ctx, fmt.Sprintf("No app is named %q", app), `DELETE FROM apps WHERE app = $1`, app)
}

// CreateKey makes a key for an app, and records the app if nobody has. The text
// of the key is returned this once: only its hash is kept.
func (r *Registry) CreateKey(ctx context.Context, app, note, by string) (plain string, key auth.Key, err error) {
	if err := validApp(app); err != nil {
		return "", auth.Key{}, err
	}
	if err := validNote(note); err != nil {
		return "", auth.Key{}, err
	}
	plain, record := auth.NewKey(app, note, r.clock())
	if err := r.insertKeys(ctx, []auth.Record{record}, by); err != nil {
		return "", auth.Key{}, err
	}
	return plain, record.Key, nil
}

// insertKeys records keys and their apps. A key that is there stays as it is.
func (r *Registry) insertKeys(ctx context.Context, records []auth.Record, by string) error {
	err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		for _, record := range records {
			hash, err := hex.DecodeString(record.SecretSHA256)
			if err != nil {
				return fmt.Errorf("hash of key %s: %w", record.ID, err)
			}
			if _, err := tx.Exec(ctx, `INSERT INTO apps (app, created_by) VALUES ($1, $2) ON CONFLICT DO NOTHING`, record.App, by); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `
INSERT INTO api_keys (key_id, app, secret_sha256, note, created_at, created_by, revoked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
				record.ID, record.App, hash, record.Note, record.Created, by, record.RevokedAt); err != nil {
				return err
			}
		}
		return nil
	})
	return failed(err, "record the key")
}

// RevokeKey ends a key for good. Revoking twice keeps the first time.
func (r *Registry) RevokeKey(ctx context.Context, id string) error {
	return r.changeOne(ctx, fmt.Sprintf("No API key has the id %q", id),
		`UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2) WHERE key_id = $1`, id, r.clock().UTC())
}

// AssignPrincipal lets a service principal, named by its application id, send for
// an app. It sent for another app before: that ends.
func (r *Registry) AssignPrincipal(ctx context.Context, app, principal, by string) error {
	principal, err := validName("principal", auth.FoldName(principal))
	if err != nil {
		return err
	}
	return r.exec(ctx, "assign the service principal", `
INSERT INTO app_principals (principal, app, created_by) VALUES ($1, $2, $3)
ON CONFLICT (principal) DO UPDATE SET app = EXCLUDED.app, created_by = EXCLUDED.created_by, created_at = now()`, principal, app, by)
}

// RemovePrincipal ends what AssignPrincipal began.
func (r *Registry) RemovePrincipal(ctx context.Context, app, principal string) error {
	return r.changeOne(ctx, fmt.Sprintf("%q does not send for the app %q", principal, app),
		`DELETE FROM app_principals WHERE app = $1 AND principal = $2`, app, auth.FoldName(strings.TrimSpace(principal)))
}

// AddReader lets a person or a group read the numbers of an app.
func (r *Registry) AddReader(ctx context.Context, app string, reader Reader, by string) error {
	if reader.Type != ReaderUser && reader.Type != ReaderGroup {
		return fault.New(fault.Invalid, "type: must be user or group").With("field", "type")
	}
	name, err := validName("name", reader.Name)
	if err != nil {
		return err
	}
	return r.exec(ctx, "add the reader", `
INSERT INTO app_readers (app, reader_type, reader, created_by) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		app, string(reader.Type), auth.FoldName(name), by)
}

// RemoveReader takes the right away. Who has the dashboard open loses it within
// [rightsLast].
func (r *Registry) RemoveReader(ctx context.Context, app string, reader Reader) error {
	return r.changeOne(ctx, fmt.Sprintf("%s %q does not read the app %q", reader.Type, reader.Name, app),
		`DELETE FROM app_readers WHERE app = $1 AND reader_type = $2 AND reader = $3`,
		app, string(reader.Type), auth.FoldName(strings.TrimSpace(reader.Name)))
}

// exec runs a statement whose only expected failure is an app that is not recorded.
func (r *Registry) exec(ctx context.Context, action, sql string, args ...any) error {
	_, err := r.pool.Exec(ctx, sql, args...)
	return failed(err, action)
}

// changeOne runs a statement that must change a row.
func (r *Registry) changeOne(ctx context.Context, missing, sql string, args ...any) error {
	tag, err := r.pool.Exec(ctx, sql, args...)
	if err != nil {
		return failed(err, "change the record of apps")
	}
	if tag.RowsAffected() == 0 {
		return fault.New(fault.NotFound, "%s", missing)
	}
	return nil
}

const foreignKeyViolation = "23503"

func failed(err error, action string) error {
	if err == nil {
		return nil
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == foreignKeyViolation {
		return fault.Wrap(err, fault.NotFound, "No such app is recorded: create it first")
	}
	return fault.Wrap(fmt.Errorf("%s: %w", action, err), fault.Unavailable, "Data temporarily unavailable").After(retryAfter)
}

const retryAfter = 5 * time.Second

func validApp(app string) error {
	if event.ValidApp(app) {
		return nil
	}
	return fault.New(fault.Invalid, "app: %q cannot be the name of an app: 1 to 100 letters, digits, dots, dashes and underscores, a letter or digit first", app).With("field", "app")
}

func validNote(note string) error {
	if len([]rune(note)) <= maxNote && !strings.ContainsRune(note, 0) {
		return nil
	}
	return fault.New(fault.Invalid, "note: must have at most %d characters", maxNote).With("field", "note")
}

// validName returns name without the blanks around it.
func validName(field, name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || len([]rune(name)) > maxName || strings.ContainsRune(name, 0) {
		return "", fault.New(fault.Invalid, "%s: must have 1 to %d characters", field, maxName).With("field", field)
	}
	return name, nil
}
