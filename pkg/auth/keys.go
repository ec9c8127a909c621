package auth

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
)

// Bucket is the KV bucket that holds the keys. Its one writer is Keys; ingest
// only watches it.
const Bucket = "LAKEPULSE_KEYS"

const (
	maxNote = 200
	// Bounds on the bucket, and so on what a Verifier keeps in memory: about 30,000 keys.
	maxRecordBytes = 2 << 10
	maxBucketBytes = 16 << 20
	// revokeAttempts bounds the tries against others who change the same key.
	revokeAttempts = 5
)

// EnsureBucket creates the bucket where it is missing and returns it. One that is
// there keeps its replicas if it has as many: a tool that knows nothing of the
// cluster must not take away what a server's configuration gave.
func EnsureBucket(ctx context.Context, js jetstream.JetStream, replicas int) (jetstream.KeyValue, error) {
	replicas = max(1, replicas)
	kv, err := js.KeyValue(ctx, Bucket)
	if err == nil {
		var has int
		if has, err = replicasOf(ctx, kv); err == nil && has >= replicas {
			return kv, nil
		}
	}
	if err == nil || errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket:       Bucket,
			Description:  "API keys of apps: hashes, never secrets",
			History:      5, // who was created and revoked when, for a while
			MaxValueSize: maxRecordBytes,
			MaxBytes:     maxBucketBytes,
			Storage:      jetstream.FileStorage,
			Replicas:     replicas,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("key bucket %s: %w", Bucket, err)
	}
	return kv, nil
}

func replicasOf(ctx context.Context, kv jetstream.KeyValue) (int, error) {
	status, err := kv.Status(ctx)
	if err != nil {
		return 0, err
	}
	return status.Config().Replicas, nil
}

// Keys creates, lists and revokes API keys. Safe for concurrent use, also by
// several processes.
type Keys struct {
	kv    jetstream.KeyValue
	clock func() time.Time
}

// NewKeys returns the keys of a bucket made by EnsureBucket.
func NewKeys(kv jetstream.KeyValue, clock func() time.Time) *Keys {
	return &Keys{kv: kv, clock: clock}
}

// Create makes a key for app. The text is returned this once: only its hash is kept.
func (k *Keys) Create(ctx context.Context, app, note string) (plain string, key Key, err error) {
	if !event.ValidApp(app) {
		return "", Key{}, fault.New(fault.Invalid, "%q cannot be the name of an app", app).With("field", "app")
	}
	if len(note) > maxNote {
		return "", Key{}, fault.New(fault.Invalid, "the note is longer than %d bytes", maxNote).With("field", "note")
	}
	id, secret := newSecretKey()
	key = Key{ID: id, App: app, Note: note, Created: k.clock().UTC()}
	hash := hashSecret(secret)
	data, err := json.Marshal(record{Key: key, SecretSHA256: hex.EncodeToString(hash[:])})
	if err != nil {
		return "", Key{}, fmt.Errorf("encode key: %w", err)
	}
	if _, err := k.kv.Create(ctx, id, data); err != nil {
		return "", Key{}, bucketFailed(err)
	}
	return keyText(id, secret), key, nil
}

// List returns all keys, revoked ones too, by app and then by age.
func (k *Keys) List(ctx context.Context) ([]Key, error) {
	// nats.go keeps a goroutine per watch until its context ends.
	ctx, cancel := context.WithTimeout(ctx, beginTimeout)
	defer cancel()
	watch, err := k.kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, bucketFailed(err)
	}
	defer abandon(watch)
	var keys []Key
	for {
		select {
		case entry, open := <-watch.Updates():
			if !open {
				return nil, bucketFailed(errors.New("the watch ended before all keys were read"))
			}
			if entry == nil {
				slices.SortFunc(keys, func(a, b Key) int {
					return cmp.Or(cmp.Compare(a.App, b.App), a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
				})
				return keys, nil
			}
			rec, err := decodeRecord(entry)
			if err != nil {
				return nil, fault.Wrap(err, fault.Internal, "A stored API key cannot be read")
			}
			keys = append(keys, rec.Key)
		case <-ctx.Done():
			return nil, bucketFailed(ctx.Err())
		}
	}
}

// Revoke ends a key for good. Revoking twice keeps the first time.
func (k *Keys) Revoke(ctx context.Context, id string) (Key, error) {
	if !validKeyID(id) {
		return Key{}, fault.New(fault.NotFound, "No API key has the id %q", id)
	}
	var err error
	for range revokeAttempts {
		var key Key
		if key, err = k.revoke(ctx, id); !errors.Is(err, jetstream.ErrKeyExists) {
			return key, err
		}
	}
	return Key{}, bucketFailed(err)
}

func (k *Keys) revoke(ctx context.Context, id string) (Key, error) {
	entry, err := k.kv.Get(ctx, id)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return Key{}, fault.New(fault.NotFound, "No API key has the id %q", id)
	case err != nil:
		return Key{}, bucketFailed(err)
	}
	rec, err := decodeRecord(entry)
	if err != nil {
		return Key{}, fault.Wrap(err, fault.Internal, "A stored API key cannot be read")
	}
	if rec.Revoked() {
		return rec.Key, nil
	}
	now := k.clock().UTC()
	rec.RevokedAt = &now
	data, err := json.Marshal(rec)
	if err != nil {
		return Key{}, fmt.Errorf("encode key: %w", err)
	}
	// Update, not Put: between reading and writing somebody else may have changed it.
	if _, err := k.kv.Update(ctx, id, data, entry.Revision()); err != nil {
		if errors.Is(err, jetstream.ErrKeyExists) {
			return Key{}, err
		}
		return Key{}, bucketFailed(err)
	}
	return rec.Key, nil
}

// abandon ends a watch. Its deliveries block on a bounded channel while they hold
// the lock its end needs, so what is queued has to be taken off it.
func abandon(watch jetstream.KeyWatcher) {
	// The error says that the subscription is gone already, with its connection.
	_ = watch.Stop()
	for {
		select {
		case _, open := <-watch.Updates():
			if !open {
				return
			}
		default:
			return
		}
	}
}

// decodeRecord reads a key and holds it against the name it is stored under.
func decodeRecord(entry jetstream.KeyValueEntry) (record, error) {
	var rec record
	if err := json.Unmarshal(entry.Value(), &rec); err != nil {
		return record{}, fmt.Errorf("key %s: %w", entry.Key(), err)
	}
	if rec.ID != entry.Key() || !event.ValidApp(rec.App) {
		return record{}, fmt.Errorf("key %s: the record names another id or no app", entry.Key())
	}
	return rec, nil
}

func bucketFailed(cause error) error {
	return fault.Wrap(cause, fault.Unavailable, "API keys cannot be reached").After(retryAfter)
}
