package apps

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lakepulse/lakepulse/pkg/auth"
)

// App is what is recorded of one app.
type App struct {
	App        string
	Note       string
	CreatedAt  time.Time
	CreatedBy  string
	Keys       []Key
	Principals []string
	Readers    []Reader
	Clients    []Client
}

// Key is an API key as it is listed.
type Key struct {
	auth.Key

	CreatedBy string
	LastUsed  *time.Time // nil: never, as far as ingest has reported
}

// Client is a client library an app sends with.
type Client struct {
	Name     string
	Version  string
	LastSeen time.Time
}

// List returns all recorded apps by name, from one moment.
func (r *Registry) List(ctx context.Context) ([]App, error) {
	var list []App
	err := pgx.BeginTxFunc(ctx, r.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		found := map[string]*App{}
		rows, err := tx.Query(ctx, `SELECT app, note, created_at, created_by FROM apps ORDER BY app`)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (a App, err error) {
			return a, row.Scan(&a.App, &a.Note, &a.CreatedAt, &a.CreatedBy)
		})
		if err != nil {
			return err
		}
		for i := range list {
			found[list[i].App] = &list[i]
		}
		for _, read := range []func(context.Context, pgx.Tx, map[string]*App) error{readKeys, readPrincipals, readReaders, readClients} {
			if err := read(ctx, tx, found); err != nil {
				return err
			}
		}
		return nil
	})
	return list, failed(err, "list the apps")
}

func readKeys(ctx context.Context, tx pgx.Tx, found map[string]*App) error {
	return each(ctx, tx, `SELECT app, key_id, note, created_at, created_by, revoked_at, last_used_at FROM api_keys ORDER BY created_at, key_id`,
		func(rows pgx.Rows) error {
			var k Key
			if err := rows.Scan(&k.App, &k.ID, &k.Note, &k.Created, &k.CreatedBy, &k.RevokedAt, &k.LastUsed); err != nil {
				return err
			}
			found[k.App].Keys = append(found[k.App].Keys, k)
			return nil
		})
}

func readPrincipals(ctx context.Context, tx pgx.Tx, found map[string]*App) error {
	return each(ctx, tx, `SELECT app, principal FROM app_principals ORDER BY principal`, func(rows pgx.Rows) error {
		var app, principal string
		if err := rows.Scan(&app, &principal); err != nil {
			return err
		}
		found[app].Principals = append(found[app].Principals, principal)
		return nil
	})
}

func readReaders(ctx context.Context, tx pgx.Tx, found map[string]*App) error {
	return each(ctx, tx, `SELECT app, reader_type, reader FROM app_readers ORDER BY reader_type, reader`, func(rows pgx.Rows) error {
		var app string
		var reader Reader
		if err := rows.Scan(&app, &reader.Type, &reader.Name); err != nil {
			return err
		}
		found[app].Readers = append(found[app].Readers, reader)
		return nil
	})
}

// readClients leaves out apps that nobody recorded: they have no row to stand in.
func readClients(ctx context.Context, tx pgx.Tx, found map[string]*App) error {
	return each(ctx, tx, `SELECT app, client, client_version, last_seen_at FROM app_clients JOIN apps USING (app) ORDER BY last_seen_at DESC`,
		func(rows pgx.Rows) error {
			var app string
			var c Client
			if err := rows.Scan(&app, &c.Name, &c.Version, &c.LastSeen); err != nil {
				return err
			}
			found[app].Clients = append(found[app].Clients, c)
			return nil
		})
}

func each(ctx context.Context, tx pgx.Tx, sql string, scan func(pgx.Rows) error) error {
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Directory returns what ingest needs to know, for [auth.Mirror.Fill].
func (r *Registry) Directory(ctx context.Context) (auth.Directory, error) {
	d := auth.Directory{Principals: map[string]string{}}
	err := pgx.BeginTxFunc(ctx, r.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		err := each(ctx, tx, `SELECT key_id, app, secret_sha256, note, created_at, revoked_at FROM api_keys`, func(rows pgx.Rows) error {
			var record auth.Record
			var hash []byte
			if err := rows.Scan(&record.ID, &record.App, &hash, &record.Note, &record.Created, &record.RevokedAt); err != nil {
				return err
			}
			record.SecretSHA256 = hex.EncodeToString(hash)
			record.Created = record.Created.UTC() // Postgres returns the session's zone
			if record.RevokedAt != nil {
				*record.RevokedAt = record.RevokedAt.UTC()
			}
			d.Keys = append(d.Keys, record)
			return nil
		})
		if err != nil {
			return err
		}
		return each(ctx, tx, `SELECT principal, app FROM app_principals`, func(rows pgx.Rows) error {
			var principal, app string
			err := rows.Scan(&principal, &app)
			d.Principals[principal] = app
			return err
		})
	})
	return d, failed(err, "read the directory")
}

// TakeOver records the keys that a bucket held before the database did, if no key
// is recorded yet. It returns how many there were.
func (r *Registry) TakeOver(ctx context.Context, records []auth.Record) (int, error) {
	var some bool
	if err := r.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM api_keys)`).Scan(&some); err != nil {
		return 0, failed(err, "look for keys")
	}
	if some || len(records) == 0 {
		return 0, nil
	}
	return len(records), r.insertKeys(ctx, records, "taken over from the event log")
}
