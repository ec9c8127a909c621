package auth

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
)

// Bucket is the KV bucket that carries keys and service principals to ingest. Its
// one writer is Mirror; ingest only watches it.
const Bucket = "LAKEPULSE_KEYS"

const (
	// Bounds on the bucket, and so on what a Verifier keeps in memory: about 30,000 keys.
	maxRecordBytes = 2 << 10
	maxBucketBytes = 16 << 20
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
	cfg := jetstream.KeyValueConfig{
		Bucket:       Bucket,
		Description:  "API keys of apps: hashes, never secrets",
		History:      5, // who was created and revoked when, for a while
		MaxValueSize: maxRecordBytes,
		MaxBytes:     maxBucketBytes,
		Storage:      jetstream.FileStorage,
		Replicas:     replicas,
	}
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = js.CreateKeyValue(ctx, cfg) // a role may have the right to make it and none to change it
	} else if err == nil {
		kv, err = js.UpdateKeyValue(ctx, cfg)
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

// Mirror carries the database's keys and service principals to ingest, by way of
// the bucket. Safe for concurrent use, also by several processes.
type Mirror struct {
	kv jetstream.KeyValue
}

// NewMirror returns the mirror in a bucket made by EnsureBucket.
func NewMirror(kv jetstream.KeyValue) *Mirror { return &Mirror{kv: kv} }

// Directory is all that ingest needs to know of who may send.
type Directory struct {
	Keys       []Record          // revoked ones too
	Principals map[string]string // app by service principal, lower case
}

// completeMark is the entry that says the bucket has been filled at least once:
// an empty bucket without it belongs to a new log and says nothing of any key.
const completeMark = "complete"

// Fill makes the bucket equal to what load returns, and returns how many entries
// it changed. load reads the database, after the bucket was read: so an entry
// that somebody adds to both meanwhile is not taken for a stranger's.
func (m *Mirror) Fill(ctx context.Context, load func(context.Context) (Directory, error)) (changed int, err error) {
	have, err := m.entries(ctx)
	if err != nil {
		return 0, err
	}
	directory, err := load(ctx)
	if err != nil {
		return 0, err
	}
	want, err := directory.entries()
	if err != nil {
		return 0, err
	}
	for name, value := range want {
		done, err := m.put(ctx, name, value, have[name])
		if err != nil {
			return changed, bucketFailed(err)
		}
		changed += done
	}
	for name, entry := range have {
		if _, known := want[name]; known {
			continue
		}
		if err := m.kv.Delete(ctx, name, jetstream.LastRevision(entry.Revision())); err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
			return changed, bucketFailed(err)
		}
		changed++
	}
	return changed, nil
}

// put writes one entry unless it is there already, or somebody else has just
// written it: theirs is the newer one.
func (m *Mirror) put(ctx context.Context, name string, value []byte, has jetstream.KeyValueEntry) (changed int, err error) {
	switch {
	case has == nil:
		_, err = m.kv.Create(ctx, name, value)
	case bytes.Equal(has.Value(), value):
		return 0, nil
	default:
		_, err = m.kv.Update(ctx, name, value, has.Revision())
	}
	if errors.Is(err, jetstream.ErrKeyExists) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return 1, nil
}

// entries returns the directory as the bucket holds it.
func (d Directory) entries() (map[string][]byte, error) {
	entries := map[string][]byte{completeMark: []byte("{}")}
	for _, rec := range d.Keys {
		data, err := json.Marshal(rec)
		if err != nil {
			return nil, fmt.Errorf("encode key: %w", err)
		}
		entries[rec.ID] = data
	}
	for principal, app := range d.Principals {
		data, err := json.Marshal(principalRecord{Principal: principal, App: app})
		if err != nil {
			return nil, fmt.Errorf("encode service principal: %w", err)
		}
		entries[principalEntry(principal)] = data
	}
	return entries, nil
}

// principalRecord is a service principal and its app as the bucket holds them.
type principalRecord struct {
	Principal string `json:"principal"`
	App       string `json:"app"`
}

const principalPrefix = "principal."

// principalEntry returns the name of a service principal's entry: hexadecimal,
// because a bucket's names take few characters.
func principalEntry(principal string) string {
	return principalPrefix + hex.EncodeToString([]byte(principal))
}

// Filled reports whether the bucket was ever filled from a database.
func (m *Mirror) Filled(ctx context.Context) (bool, error) {
	_, err := m.kv.Get(ctx, completeMark)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, nil
	}
	if err != nil {
		return false, bucketFailed(err)
	}
	return true, nil
}

// Records returns the keys the bucket holds, by app and then by age: for taking
// over what was made when the bucket was the only place of keys.
func (m *Mirror) Records(ctx context.Context) ([]Record, error) {
	entries, err := m.entries(ctx)
	if err != nil {
		return nil, err
	}
	var records []Record
	for name, entry := range entries {
		if !validKeyID(name) {
			continue
		}
		rec, err := decodeRecord(entry)
		if err != nil {
			return nil, fault.Wrap(err, fault.Internal, "A stored API key cannot be read")
		}
		records = append(records, rec)
	}
	slices.SortFunc(records, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.App, b.App), a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return records, nil
}

// entries reads the whole bucket.
func (m *Mirror) entries(ctx context.Context) (map[string]jetstream.KeyValueEntry, error) {
	// nats.go keeps a goroutine per watch until its context ends.
	ctx, cancel := context.WithTimeout(ctx, beginTimeout)
	defer cancel()
	watch, err := m.kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, bucketFailed(err)
	}
	defer abandon(watch)
	entries := map[string]jetstream.KeyValueEntry{}
	for {
		select {
		case entry, open := <-watch.Updates():
			if !open {
				return nil, bucketFailed(errors.New("the watch ended before all keys were read"))
			}
			if entry == nil {
				return entries, nil
			}
			entries[entry.Key()] = entry
		case <-ctx.Done():
			return nil, bucketFailed(ctx.Err())
		}
	}
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
func decodeRecord(entry jetstream.KeyValueEntry) (Record, error) {
	var rec Record
	if err := json.Unmarshal(entry.Value(), &rec); err != nil {
		return Record{}, fmt.Errorf("key %s: %w", entry.Key(), err)
	}
	if rec.ID != entry.Key() || !event.ValidApp(rec.App) {
		return Record{}, fmt.Errorf("key %s: the record names another id or no app", entry.Key())
	}
	return rec, nil
}

func bucketFailed(cause error) error {
	return fault.Wrap(cause, fault.Unavailable, "API keys cannot be reached").After(retryAfter)
}
