package auth

import (
	"context"
	"log/slog"
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

type keyBundle struct {
	server *embedded.NATS
	conn   *nats.Conn
	js     jetstream.JetStream
	keys   *Keys
	clock  *testkit.Clock
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
	clock := testkit.NewClock(noon)
	return keyBundle{server: server, conn: conn, js: js, keys: NewKeys(kv, clock.Now), clock: clock}
}

// startTestVerifier audits every few milliseconds, so that what a quiet watch
// misses is found within the test.
func startTestVerifier(t *testing.T, js jetstream.JetStream) *Verifier {
	t.Helper()
	v := startVerifier(js, testkit.Logger(t), 10*time.Millisecond, 20*time.Millisecond)
	t.Cleanup(v.Close)
	return v
}

func (b keyBundle) create(t *testing.T, app string) (string, Key) {
	t.Helper()
	plain, key, err := b.keys.Create(t.Context(), app, "")
	require.NoError(t, err)
	return plain, key
}

func verified(v *Verifier, plain string) bool {
	_, err := v.Verify(plain)
	return err == nil
}

func TestKeys(t *testing.T) {
	t.Parallel()

	t.Run("a key is shown once and stored as a hash", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		plain, key, err := b.keys.Create(t.Context(), "shop", "for the blue team")
		require.NoError(t, err)
		require.Regexp(t, `^lp_[a-z2-7]{12}_[A-Za-z0-9_-]{43}$`, plain)
		require.Equal(t, Key{ID: key.ID, App: "shop", Note: "for the blue team", Created: noon}, key)
		entry, err := b.keys.kv.Get(t.Context(), key.ID)
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

	t.Run("the list has all, by app and age, revoked ones marked", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		empty, err := b.keys.List(t.Context())
		require.NoError(t, err)
		require.Empty(t, empty)
		_, shop1 := b.create(t, "shop")
		b.clock.Advance(time.Hour)
		_, shop2 := b.create(t, "shop")
		_, billing := b.create(t, "billing")
		revoked, err := b.keys.Revoke(t.Context(), shop1.ID)
		require.NoError(t, err)
		got, err := b.keys.List(t.Context())
		require.NoError(t, err)
		require.Equal(t, []Key{billing, revoked, shop2}, got)
		require.True(t, got[1].Revoked())
	})

	t.Run("revoking twice keeps the first time", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		_, key := b.create(t, "shop")
		first, err := b.keys.Revoke(t.Context(), key.ID)
		require.NoError(t, err)
		b.clock.Advance(time.Hour)
		second, err := b.keys.Revoke(t.Context(), key.ID)
		require.NoError(t, err)
		require.Equal(t, first, second)
	})

	t.Run("what is not there cannot be revoked", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		for _, id := range []string{"aaaaaaaaaaaa", "", "*", ">", "../etc"} {
			_, err := b.keys.Revoke(t.Context(), id)
			require.Equal(t, fault.NotFound, fault.CodeOf(err), id)
		}
	})

	t.Run("a name no event could carry is refused", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		for _, app := range []string{"", "a b", strings.Repeat("x", 101)} {
			_, _, err := b.keys.Create(t.Context(), app, "")
			require.Equal(t, fault.Invalid, fault.CodeOf(err), app)
		}
		_, _, err := b.keys.Create(t.Context(), "shop", strings.Repeat("x", maxNote+1))
		require.Equal(t, fault.Invalid, fault.CodeOf(err))
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

	t.Run("with NATS away nothing is created, listed or revoked", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		_, key := b.create(t, "shop")
		b.server.Stop()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, _, err := b.keys.Create(ctx, "shop", "")
		require.Equal(t, fault.Unavailable, fault.CodeOf(err))
		_, err = b.keys.List(ctx)
		require.Equal(t, fault.Unavailable, fault.CodeOf(err))
		_, err = b.keys.Revoke(ctx, key.ID)
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
		v := startTestVerifier(t, b.js)
		testkit.Receive(t, "the keys to be loaded", v.Loaded())
		plain, key := b.create(t, "shop")
		testkit.Eventually(t, "the new key to open", func() bool { return verified(v, plain) })
		_, err := b.keys.Revoke(t.Context(), key.ID)
		require.NoError(t, err)
		testkit.Eventually(t, "the revoked key to close", func() bool { return !verified(v, plain) })
		_, err = v.Verify(plain)
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
		_, err = EnsureBucket(t.Context(), js, 1)
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
			fresh, _, err = b.keys.Create(ctx, "shop", "")
			return err
		})
		testkit.Eventually(t, "a key made after the restart to open", func() bool { return verified(v, fresh) })
		_, err := b.keys.Revoke(t.Context(), oldKey.ID)
		require.NoError(t, err)
		testkit.Eventually(t, "a key revoked after the restart to close", func() bool { return !verified(v, old) })
	})

	t.Run("a bucket made anew replaces what was known", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		plain, _ := b.create(t, "shop")
		v := startTestVerifier(t, b.js)
		testkit.Receive(t, "the keys to be loaded", v.Loaded())
		require.NoError(t, b.js.DeleteKeyValue(t.Context(), Bucket))
		_, err := EnsureBucket(t.Context(), b.js, 1)
		require.NoError(t, err)
		testkit.Eventually(t, "the lost key to close", func() bool { return !verified(v, plain) })
	})

	t.Run("a key deleted from the bucket closes", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		plain, key := b.create(t, "shop")
		v := startTestVerifier(t, b.js)
		testkit.Receive(t, "the keys to be loaded", v.Loaded())
		require.NoError(t, b.keys.kv.Delete(t.Context(), key.ID))
		testkit.Eventually(t, "the deleted key to close", func() bool { return !verified(v, plain) })
	})

	t.Run("a record that cannot be read opens nothing and stops nothing", func(t *testing.T) {
		t.Parallel()
		b := setupKeys(t)
		plain, key := b.create(t, "shop")
		for _, spoiled := range []string{`{`, `{}`, `{"id":"` + key.ID + `","app":"shop","secret_sha256":"00"}`} {
			_, err := b.keys.kv.Put(t.Context(), key.ID, []byte(spoiled))
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
			text, _ := b.create(t, "shop")
			plain = append(plain, text)
		}
		v := startTestVerifier(t, b.js)
		testkit.Receive(t, "the keys to be loaded", v.Loaded())
		for _, text := range plain {
			require.True(t, verified(v, text))
		}
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
	b.create(t, "shop")
	b.create(t, "shop")
	kv := b.keys.kv

	t.Run("a watch that is up to date is left alone", func(t *testing.T) {
		c := &copyState{complete: true, seen: 2}
		require.NoError(t, c.check(t.Context(), kv))
		require.NoError(t, c.check(t.Context(), kv))
	})
	t.Run("one that is behind has until the next check", func(t *testing.T) {
		c := &copyState{complete: true, seen: 1}
		require.NoError(t, c.check(t.Context(), kv))
		require.Error(t, c.check(t.Context(), kv))
	})
	t.Run("one that caught up is left alone", func(t *testing.T) {
		c := &copyState{complete: true, seen: 1}
		require.NoError(t, c.check(t.Context(), kv))
		c.seen = 2
		require.NoError(t, c.check(t.Context(), kv))
	})
	t.Run("one that never finishes its first reading is given up", func(t *testing.T) {
		c := &copyState{seen: 2}
		require.NoError(t, c.check(t.Context(), kv))
		require.Error(t, c.check(t.Context(), kv))
	})
	t.Run("one of a bucket that went back is given up", func(t *testing.T) {
		c := &copyState{complete: true, seen: 3}
		require.Error(t, c.check(t.Context(), kv))
	})
}
