package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/retry"
)

const (
	// watchRetry is the pause before a broken watch is begun again.
	watchRetry = time.Second
	// auditEvery is how often the bucket's last revision is held against the last one
	// seen. A watch can go quiet without an error (a server restored from a backup, a
	// consumer lost with its node): then a revocation would never arrive.
	auditEvery = 30 * time.Second
	// beginTimeout bounds opening the bucket and beginning its watch.
	beginTimeout = 10 * time.Second
	// auditTimeout bounds that question.
	auditTimeout = 5 * time.Second
)

// Verifier checks API keys against a copy of the bucket in memory, so that
// ingest needs no round trip per request. A watch keeps the copy true; it runs
// from StartVerifier to Close and survives NATS being away.
type Verifier struct {
	js     jetstream.JetStream
	logger *slog.Logger
	audit  time.Duration
	retry  time.Duration

	stop   context.CancelFunc
	done   chan struct{}
	loaded chan struct{} // closed when every key has been read once

	loadedOnce sync.Once

	mu    sync.RWMutex
	known directory
}

// directory is the bucket's content in memory.
type directory struct {
	keys       map[string]verifiable
	principals map[string]string // app by the name of the entry
	complete   bool              // the bucket has been filled from the database
}

func newDirectory() directory {
	return directory{keys: map[string]verifiable{}, principals: map[string]string{}}
}

type verifiable struct {
	key  Key
	hash digest
}

// StartVerifier begins to watch the bucket, which need not exist yet.
func StartVerifier(js jetstream.JetStream, logger *slog.Logger) *Verifier {
	return startVerifier(js, logger, watchRetry, auditEvery)
}

func startVerifier(js jetstream.JetStream, logger *slog.Logger, retry, audit time.Duration) *Verifier {
	// Its own context: the one that starts a service ends when it has started.
	ctx, stop := context.WithCancel(context.Background())
	v := &Verifier{
		js:     js,
		logger: logger.With("component", "auth.keys"),
		audit:  audit,
		retry:  retry,
		stop:   stop,
		done:   make(chan struct{}),
		loaded: make(chan struct{}),
		known:  newDirectory(),
	}
	go v.run(ctx)
	return v
}

// Close ends the watch and waits for it. Keys are verified against the last copy after that.
func (v *Verifier) Close() {
	v.stop()
	<-v.done
}

// Loaded is closed when every key has been read once; before that Verify answers 503.
func (v *Verifier) Loaded() <-chan struct{} { return v.loaded }

// Verify implements KeyVerifier.
func (v *Verifier) Verify(plain string) (Key, error) {
	select {
	case <-v.loaded:
	default:
		return Key{}, fault.New(fault.Unavailable, messageKeysLoading).After(retryAfter)
	}
	id, secret, err := parseKey(plain)
	if err != nil {
		return Key{}, fault.Wrap(err, fault.Unauthenticated, messageBadKey)
	}
	v.mu.RLock()
	known, found := v.known.keys[id]
	v.mu.RUnlock()
	// An unknown id costs the same comparison, against a hash nothing has.
	if same := sameSecret(secret, known.hash); !found || !same || known.key.Revoked() {
		return Key{}, fault.New(fault.Unauthenticated, messageBadKey)
	}
	return known.key, nil
}

// AppOf returns the app that an administrator gave a service principal, by its
// application id in any case.
func (v *Verifier) AppOf(principal string) (app string, known bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	app, known = v.known.principals[principalEntry(FoldName(principal))]
	return app, known
}

// KnowsApp reports whether an app has a key that is not revoked, or a service
// principal.
func (v *Verifier) KnowsApp(app string) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, known := range v.known.keys {
		if known.key.App == app && !known.key.Revoked() {
			return true
		}
	}
	for _, of := range v.known.principals {
		if of == app {
			return true
		}
	}
	return false
}

func (v *Verifier) run(ctx context.Context) {
	defer close(v.done)
	for quiet := false; ; quiet = true {
		followed, err := v.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		level := slog.LevelDebug                                                  // an outage is said once, not every second
		if (followed || !quiet) && !errors.Is(err, jetstream.ErrBucketNotFound) { // a first start makes it in a moment
			level = slog.LevelWarn
		}
		v.logger.Log(ctx, level, "watch of the API keys broke, beginning again", "error", err)
		if retry.Sleep(ctx, v.retry) != nil {
			return
		}
	}
}

// follow reads all keys and then every change, until the watch breaks. followed
// says that it had come as far as the changes.
func (v *Verifier) follow(ctx context.Context) (followed bool, err error) {
	// nats.go keeps a goroutine per watch until its context ends.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Without a deadline of its own the watch's beginning would wait for ever for an
	// answer that was lost with a connection.
	begun := time.AfterFunc(beginTimeout, cancel)
	defer begun.Stop()
	kv, err := v.js.KeyValue(ctx, Bucket)
	if err != nil {
		return false, fmt.Errorf("open bucket: %w", err)
	}
	// Asked before the watch begins, so that the watch delivers all of it.
	begin, err := bucketState(ctx, kv)
	if err != nil {
		return false, err
	}
	watch, err := kv.WatchAll(ctx)
	if err != nil {
		return false, fmt.Errorf("watch bucket: %w", err)
	}
	defer abandon(watch)
	begun.Stop()
	tick := time.NewTicker(v.audit)
	defer tick.Stop()

	copied := &copyState{known: newDirectory(), made: begin.made, seen: begin.revision}
	for {
		select {
		case entry, open := <-watch.Updates():
			if !open {
				return copied.complete, errors.New("the watch ended")
			}
			v.take(copied, entry)
		case <-tick.C:
			if err := copied.check(ctx, kv); err != nil {
				return copied.complete, err
			}
		case <-ctx.Done():
			return copied.complete, ctx.Err()
		}
	}
}

// take applies one delivery of the watch: an entry, or nil after the last of the first reading.
func (v *Verifier) take(c *copyState, entry jetstream.KeyValueEntry) {
	c.delivered++
	switch {
	case entry == nil:
		c.complete = true
		v.publish(c.known)
	case c.complete:
		v.change(c, entry)
		c.seen = max(c.seen, entry.Revision())
	default:
		v.apply(&c.known, entry)
		c.seen = max(c.seen, entry.Revision())
	}
}

// change applies a change after the first reading. The maps of c.known are those
// that Verify reads, once they were published.
func (v *Verifier) change(c *copyState, entry jetstream.KeyValueEntry) {
	v.mu.Lock()
	v.apply(&c.known, entry)
	v.mu.Unlock()
	v.publish(c.known)
}

// copyState is how far one watch has come.
type copyState struct {
	known    directory // handed to the Verifier once complete
	complete bool      // everything of the first reading is in known
	made     time.Time // when the watched bucket was made
	seen     uint64    // last revision delivered
	behind   uint64    // what the bucket had at the last check beyond seen, or 0

	delivered int // deliveries so far
	before    int // deliveries at the last check: a first reading that goes on is slow, not quiet
}

// check finds a watch that went quiet: one that, since the check before, has not
// delivered what the bucket had then, or has delivered what the bucket never had.
func (c *copyState) check(ctx context.Context, kv jetstream.KeyValue) error {
	state, err := bucketState(ctx, kv)
	if err != nil {
		return err
	}
	last := state.revision
	if last < c.seen || !state.made.Equal(c.made) {
		return fmt.Errorf("the bucket was made anew or went back, from revision %d to %d", c.seen, last)
	}
	quiet := c.delivered == c.before
	c.before = c.delivered
	if c.behind > c.seen || (c.behind > 0 && !c.complete && quiet) {
		return fmt.Errorf("the watch stands at revision %d, the bucket at %d", c.seen, last)
	}
	c.behind = 0
	if last > c.seen || !c.complete {
		c.behind = max(last, 1)
	}
	return nil
}

// revisionState is how far a bucket has come, and since when it exists.
type revisionState struct {
	made     time.Time
	revision uint64
}

func bucketState(ctx context.Context, kv jetstream.KeyValue) (revisionState, error) {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	status, err := kv.Status(ctx)
	if err != nil {
		return revisionState{}, fmt.Errorf("state of the bucket: %w", err)
	}
	bucket, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return revisionState{}, fmt.Errorf("state of the bucket is a %T", status)
	}
	info := bucket.StreamInfo()
	return revisionState{made: info.Created, revision: info.State.LastSeq}, nil
}

// apply puts one entry of the bucket into the directory. A record that cannot be
// read opens nothing.
func (v *Verifier) apply(d *directory, entry jetstream.KeyValueEntry) {
	name, put := entry.Key(), entry.Operation() == jetstream.KeyValuePut
	delete(d.keys, name)
	delete(d.principals, name)
	var err error
	switch {
	case !put:
	case name == completeMark:
		d.complete = true
	case strings.HasPrefix(name, principalPrefix):
		err = d.addPrincipal(entry)
	default:
		err = d.addKey(entry)
	}
	if err != nil {
		v.logger.Error("stored API key or service principal cannot be read and is refused", "entry", name, "error", err)
	}
}

func (d *directory) addKey(entry jetstream.KeyValueEntry) error {
	rec, err := decodeRecord(entry)
	if err != nil {
		return err
	}
	hash, err := decodeHash(rec.SecretSHA256)
	if err != nil {
		return err
	}
	d.keys[entry.Key()] = verifiable{key: rec.Key, hash: hash}
	return nil
}

func (d *directory) addPrincipal(entry jetstream.KeyValueEntry) error {
	var rec principalRecord
	if err := json.Unmarshal(entry.Value(), &rec); err != nil {
		return err
	}
	if principalEntry(rec.Principal) != entry.Key() || !event.ValidApp(rec.App) {
		return errors.New("the record names another principal or no app")
	}
	d.principals[entry.Key()] = rec.App
	return nil
}

// publish makes a complete reading the copy that Verify uses. The bucket of a new
// log, which nobody has filled yet, does not take the place of known keys.
func (v *Verifier) publish(d directory) {
	v.mu.Lock()
	if d.filled() || !v.known.filled() {
		v.known = d
	}
	v.mu.Unlock()
	v.announce()
}

func (d directory) filled() bool { return d.complete || len(d.keys) > 0 }

// announce marks the keys as loaded, unless the bucket is that of a new log which
// nobody has filled from the database yet: then every key would seem unknown.
func (v *Verifier) announce() {
	v.mu.RLock()
	keys, filled := len(v.known.keys), v.known.filled()
	v.mu.RUnlock()
	if !filled {
		return
	}
	v.loadedOnce.Do(func() {
		close(v.loaded)
		v.logger.Info("API keys loaded", "keys", keys)
	})
}
