package auth

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/embedded"
	"github.com/lakepulse/lakepulse/pkg/fault"
	"github.com/lakepulse/lakepulse/pkg/testkit"
)

// keyBundle is a bucket and the keys that a database would hold.
type keyBundle struct {
	server  *embedded.NATS
	js      jetstream.JetStream
	mirror  *Mirror
	records map[string]Record
}

func setupKeys(t *testing.T) keyBundle {
	t.Helper()
	server := testkit.NATS(t)
	conn, err := nats.Connect(server.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	kv, err := EnsureBucket(t.Context(), js, 1)
	require.NoError(t, err)
	return keyBundle{server: server, js: js, mirror: NewMirror(kv), records: map[string]Record{}}
}

func (b keyBundle) load(context.Context) (Directory, error) {
	return Directory{Keys: slices.Collect(maps.Values(b.records))}, nil
}

func (b keyBundle) fill(t *testing.T) (changed int) {
	t.Helper()
	changed, err := b.mirror.Fill(t.Context(), b.load)
	require.NoError(t, err)
	return changed
}

func (b keyBundle) create(t *testing.T, app string) (string, Key) {
	t.Helper()
	plain, rec := NewKey(app, "", noon)
	b.records[rec.ID] = rec
	b.fill(t)
	return plain, rec.Key
}

func (b keyBundle) revoke(t *testing.T, key Key) {
	t.Helper()
	rec, now := b.records[key.ID], noon.Add(time.Hour)
	rec.RevokedAt = &now
	b.records[key.ID] = rec
	b.fill(t)
}

// startTestVerifier audits every few milliseconds, so that what a quiet watch
// misses is found within the test.
func startTestVerifier(t *testing.T, js jetstream.JetStream) *Verifier {
	t.Helper()
	v := startVerifier(js, testkit.Logger(t), 10*time.Millisecond, 20*time.Millisecond)
	t.Cleanup(v.Close)
	return v
}

func verified(v *Verifier, plain string) bool {
	_, err := v.Verify(plain)
	return err == nil
}

func TestMirror(t *testing.T) {
	t.Parallel()

	t.Run("the bucket has the hash of a key and not its secret", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		plain, key := b.create(t, "shop")
		require.Regexp(t, `^lp_[a-z2-7]{12}_[A-Za-z0-9_-]{43}$`, plain)
		entry, err := b.mirror.kv.Get(t.Context(), key.ID)
		require.NoError(t, err)
		_, secret, err := parseKey(plain)
		require.NoError(t, err)
		require.NotContains(t, string(entry.Value()), secret)
	})

	t.Run("no two keys are alike", func(t *testing.T) {
		t.Parallel()
		seen := make(map[string]bool)
		for range 1000 {
			id, secret := newSecretKey()
			require.False(t, seen[id] || seen[secret])
			seen[id], seen[secret] = true, true
		}
	})

	t.Run("filling twice changes nothing", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		b.create(t, "shop")
		require.Zero(t, b.fill(t))
	})

	t.Run("an entry that the database does not know is removed", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		plain, forged := NewKey("shop", "", noon)
		data, err := json.Marshal(forged)
		require.NoError(t, err)
		_, err = b.mirror.kv.Put(t.Context(), forged.ID, data)
		require.NoError(t, err)
		require.Equal(t, 2, b.fill(t), "the mark is made and the stranger removed")
		v := startTestVerifier(t, b.js)
		testkit.Receive(t, "the keys to be loaded", v.Loaded())
		require.False(t, verified(v, plain))
	})

	t.Run("an entry that somebody adds while the database is read stays", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		var plain string
		_, err := b.mirror.Fill(t.Context(), func(ctx context.Context) (Directory, error) {
			plain, _ = b.create(t, "shop")
			return b.load(ctx)
		})
		require.NoError(t, err)
		v := startTestVerifier(t, b.js)
		testkit.Receive(t, "the keys to be loaded", v.Loaded())
		require.True(t, verified(v, plain))
	})

	t.Run("the bucket's keys can be read back, by app and age", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		_, shop := b.create(t, "shop")
		_, billing := b.create(t, "billing")
		records, err := b.mirror.Records(t.Context())
		require.NoError(t, err)
		require.Equal(t, []Record{b.records[billing.ID], b.records[shop.ID]}, records)
	})

	t.Run("the bucket is made once", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		plain, _ := b.create(t, "shop")
		_, err := EnsureBucket(t.Context(), b.js, 1)
		require.NoError(t, err)
		v := startTestVerifier(t, b.js)
		testkit.Receive(t, "the keys to be loaded", v.Loaded())
		require.True(t, verified(v, plain))
	})

	t.Run("a tool that asks for one replica takes none of three away", func(t *testing.T) {
		t.Parallel()
		conn, err := testkit.NATSCluster(t).Connect()
		require.NoError(t, err)
		t.Cleanup(conn.Close)
		js, err := jetstream.New(conn)
		require.NoError(t, err)
		for _, asked := range []int{1, 3, 1} {
			_, err := EnsureBucket(t.Context(), js, asked)
			require.NoError(t, err)
		}
		kv, err := js.KeyValue(t.Context(), Bucket)
		require.NoError(t, err)
		replicas, err := replicasOf(t.Context(), kv)
		require.NoError(t, err)
		require.Equal(t, 3, replicas)
	})

	t.Run("with NATS away nothing is filled or read", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		b.create(t, "shop")
		b.server.Stop()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := b.mirror.Fill(ctx, b.load)
		require.Equal(t, fault.Unavailable, fault.CodeOf(err))
		_, err = b.mirror.Records(ctx)
		require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	})
}

func TestVerifier(t *testing.T) {
	t.Parallel()

	t.Run("only the very text of a key opens", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		plain, key := b.create(t, "shop")
		other, _ := b.create(t, "billing")
		v := startTestVerifier(t, b.js)
		testkit.Receive(t, "the keys to be loaded", v.Loaded())
		got, err := v.Verify(plain)
		require.NoError(t, err)
		require.Equal(t, key, got)
		mixed := plain[:len(keyPrefix)+keyIDLen] + other[len(keyPrefix)+keyIDLen:]
		last := byte('A')
		if plain[len(plain)-1] == last {
			last = 'B'
		}
		wrong := []string{
			"", "lp_", plain[:len(plain)-1], plain + "A", plain[:len(plain)-1] + string(last), mixed,
			strings.ToUpper(plain), " " + plain, "lp_" + strings.Repeat("a", keyIDLen) + plain[len(keyPrefix)+keyIDLen:],
			strings.Replace(plain, "lp_", "xx_", 1), strings.Repeat("x", 1<<16),
		}
		for _, text := range wrong {
			_, err := v.Verify(text)
			require.Equal(t, fault.Unauthenticated, fault.CodeOf(err))
			require.NotContains(t, err.Error(), plain[20:])
		}
	})

	t.Run("a new key opens and a revoked one closes at once", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		b.fill(t)
		v := startTestVerifier(t, b.js)
		testkit.Receive(t, "the keys to be loaded", v.Loaded())
		plain, key := b.create(t, "shop")
		testkit.Eventually(t, "the new key to open", func() bool { return verified(v, plain) })
		b.revoke(t, key)
		testkit.Eventually(t, "the revoked key to close", func() bool { return !verified(v, plain) })
		_, err := v.Verify(plain)
		require.Equal(t, fault.Unauthenticated, fault.CodeOf(err))
	})

	t.Run("before the keys are read nobody is judged", func(t *testing.T) {
		t.Parallel()
		server := testkit.NATS(t)
		conn, err := server.Connect()
		require.NoError(t, err)
		t.Cleanup(conn.Close)
		js, err := jetstream.New(conn)
		require.NoError(t, err)
		v := startTestVerifier(t, js) // there is no bucket yet
		_, err = v.Verify(goodKey)
		require.Equal(t, fault.Unavailable, fault.CodeOf(err))
		require.Positive(t, fault.As(err).RetryAfter)
		kv, err := EnsureBucket(t.Context(), js, 1)
		require.NoError(t, err)
		_, err = v.Verify(goodKey)
		require.Equal(t, fault.Unavailable, fault.CodeOf(err), "an empty bucket says nothing of keys that a database holds")
		_, err = NewMirror(kv).Fill(t.Context(), func(context.Context) (Directory, error) { return Directory{}, nil })
		require.NoError(t, err)
		testkit.Receive(t, "the keys to be loaded", v.Loaded())
		_, err = v.Verify(goodKey)
		require.Equal(t, fault.Unauthenticated, fault.CodeOf(err))
	})

	t.Run("a restart of NATS is survived, and what changed meanwhile arrives", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		old, oldKey := b.create(t, "shop")
		v := startTestVerifier(t, b.js)
		testkit.Receive(t, "the keys to be loaded", v.Loaded())
		for range 2 {
			b.server.Stop()
			require.True(t, verified(v, old), "the last known keys stay")
			require.NoError(t, b.server.Restart())
		}
		var fresh string
		testkit.EventuallyOK(t, "NATS to be back", func() (err error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var rec Record
			fresh, rec = NewKey("shop", "", noon)
			b.records[rec.ID] = rec
			_, err = b.mirror.Fill(ctx, b.load)
			return err
		})
		testkit.Eventually(t, "a key made after the restart to open", func() bool { return verified(v, fresh) })
		b.revoke(t, oldKey)
		testkit.Eventually(t, "a key revoked after the restart to close", func() bool { return !verified(v, old) })
	})

	t.Run("the known keys stay until a bucket made anew is filled", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		plain, _ := b.create(t, "shop")
		v := startTestVerifier(t, b.js)
		testkit.Receive(t, "the keys to be loaded", v.Loaded())
		require.NoError(t, b.js.DeleteKeyValue(t.Context(), Bucket))
		kv, err := EnsureBucket(t.Context(), b.js, 1)
		require.NoError(t, err)
		require.True(t, verified(v, plain))
		fresh, rec := NewKey("shop", "", noon)
		_, err = NewMirror(kv).Fill(t.Context(), func(context.Context) (Directory, error) { return Directory{Keys: []Record{rec}}, nil })
		require.NoError(t, err)
		testkit.Eventually(t, "the fresh key to open", func() bool { return verified(v, fresh) })
		require.False(t, verified(v, plain), "a key that is no longer in the database opens nothing")
	})

	t.Run("a key deleted from the bucket closes", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		plain, key := b.create(t, "shop")
		v := startTestVerifier(t, b.js)
		testkit.Receive(t, "the keys to be loaded", v.Loaded())
		require.NoError(t, b.mirror.kv.Delete(t.Context(), key.ID))
		testkit.Eventually(t, "the deleted key to close", func() bool { return !verified(v, plain) })
	})

	t.Run("a record that cannot be read opens nothing and stops nothing", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		plain, key := b.create(t, "shop")
		for _, spoiled := range []string{`{`, `{}`, `{"id":"` + key.ID + `","app":"shop","secret_sha256":"00"}`} {
			_, err := b.mirror.kv.Put(t.Context(), key.ID, []byte(spoiled))
			require.NoError(t, err)
			v := startTestVerifier(t, b.js)
			testkit.Receive(t, "the keys to be loaded", v.Loaded())
			require.False(t, verified(v, plain))
		}
	})

	t.Run("a thousand keys are loaded before the first is judged", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		var plain []string
		for range 1000 {
			text, rec := NewKey("shop", "", noon)
			b.records[rec.ID] = rec
			plain = append(plain, text)
		}
		b.fill(t)
		v := startTestVerifier(t, b.js)
		testkit.Receive(t, "the keys to be loaded", v.Loaded())
		for _, text := range plain {
			require.True(t, verified(v, text))
		}
	})

	t.Run("a service principal's app follows the administrator", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		v := startTestVerifier(t, b.js)
		assign := func(principals map[string]string) {
			_, err := b.mirror.Fill(t.Context(), func(context.Context) (Directory, error) { return Directory{Principals: principals}, nil })
			require.NoError(t, err)
		}
		appOf := func() string { app, _ := v.AppOf("1234-ABCD"); return app }
		assign(map[string]string{"1234-abcd": "shop"})
		testkit.EventuallyEqual(t, "shop", appOf)
		assign(map[string]string{"1234-abcd": "billing"})
		testkit.EventuallyEqual(t, "billing", appOf)
		assign(nil)
		testkit.EventuallyEqual(t, "", appOf)
	})

	t.Run("closing is quick while NATS is away", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		b.server.Stop()
		StartVerifier(b.js, slog.New(slog.DiscardHandler)).Close()
	})
}

func TestWatchCheck(t *testing.T) {
	t.Parallel()
	b := setupKeys(t)
	kv := b.mirror.kv
	for range 2 {
		_, err := kv.Put(t.Context(), completeMark, []byte("{}"))
		require.NoError(t, err)
	}
	state, err := bucketState(t.Context(), kv)
	require.NoError(t, err)

	t.Run("a watch that is up to date is left alone", func(t *testing.T) {
		c := &copyState{made: state.made, complete: true, seen: 2}
		require.NoError(t, c.check(t.Context(), kv))
		require.NoError(t, c.check(t.Context(), kv))
	})
	t.Run("one that is behind has until the next check", func(t *testing.T) {
		c := &copyState{made: state.made, complete: true, seen: 1}
		require.NoError(t, c.check(t.Context(), kv))
		require.Error(t, c.check(t.Context(), kv))
	})
	t.Run("one that caught up is left alone", func(t *testing.T) {
		c := &copyState{made: state.made, complete: true, seen: 1}
		require.NoError(t, c.check(t.Context(), kv))
		c.seen = 2
		require.NoError(t, c.check(t.Context(), kv))
	})
	t.Run("one that never finishes its first reading is given up", func(t *testing.T) {
		c := &copyState{made: state.made, seen: 2}
		require.NoError(t, c.check(t.Context(), kv))
		require.Error(t, c.check(t.Context(), kv))
	})
	t.Run("one of a bucket that went back is given up", func(t *testing.T) {
		c := &copyState{made: state.made, complete: true, seen: 3}
		require.Error(t, c.check(t.Context(), kv))
	})
}
