package settings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// Bucket is the key-value bucket in the log that ingest learns the settings from.
	Bucket = "LAKEPULSE_SETTINGS"

	bucketKey   = "installation"
	bucketBytes = 1 << 20
)

// document is the state as the bucket holds it.
type document struct {
	Settings     map[string]string `json:"settings"`
	PurgedBefore *time.Time        `json:"purged_before,omitempty"`
}

// EnsureBucket returns the bucket, made if it is missing. It keeps the replicas
// of one that exists.
func EnsureBucket(ctx context.Context, js jetstream.JetStream, replicas int) (jetstream.KeyValue, error) {
	kv, err := js.KeyValue(ctx, Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: Bucket, Description: "Lakepulse: settings of the installation, for ingest", MaxBytes: bucketBytes,
			Storage: jetstream.FileStorage, Replicas: max(1, replicas),
		})
	}
	if err != nil {
		return nil, fmt.Errorf("settings bucket %s: %w", Bucket, err)
	}
	return kv, nil
}

// Publish puts the state into the bucket, unless it holds the same.
func Publish(ctx context.Context, kv jetstream.KeyValue, s State) error {
	data, err := encode(s)
	if err != nil {
		return err
	}
	entry, err := kv.Get(ctx, bucketKey)
	if err == nil && string(entry.Value()) == string(data) {
		return nil
	}
	if err == nil || errors.Is(err, jetstream.ErrKeyNotFound) {
		_, err = kv.Put(ctx, bucketKey, data)
	}
	if err != nil {
		return fmt.Errorf("publish settings: %w", err)
	}
	return nil
}

// Read returns the state in the bucket, and whether it holds one.
func Read(ctx context.Context, kv jetstream.KeyValue) (State, bool, error) {
	entry, err := kv.Get(ctx, bucketKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return State{}, false, nil
	}
	if err != nil {
		return State{}, false, fmt.Errorf("read settings: %w", err)
	}
	s, err := decode(entry.Value())
	return s, err == nil, err
}

func encode(s State) ([]byte, error) {
	d := document{Settings: map[string]string{}}
	for _, name := range Names() {
		if text := s.Get(name); text != "" {
			d.Settings[name] = text
		}
	}
	if !s.PurgedBefore.IsZero() {
		at := s.PurgedBefore.UTC()
		d.PurgedBefore = &at
	}
	data, err := json.Marshal(d) // the keys of a map are written in order
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	return data, nil
}

func decode(data []byte) (State, error) {
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return State{}, fmt.Errorf("decode settings: %w", err)
	}
	var s State
	for _, name := range Names() {
		if text := d.Settings[name]; text != "" {
			if err := s.Set(name, text); err != nil {
				return State{}, fmt.Errorf("decode settings: %w", err)
			}
		}
	}
	if d.PurgedBefore != nil {
		s.PurgedBefore = *d.PurgedBefore
	}
	return s, nil
}
