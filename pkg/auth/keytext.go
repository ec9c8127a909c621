package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// A key's text is lp_<id>_<secret>. The id is public and names the key in lists
// and logs; the secret has 256 bits, so a plain SHA-256 of it is safe to store.
const (
	keyPrefix   = "lp_"
	keyIDLen    = 12 // base32, lower case: 60 bits
	secretBytes = 32
	secretLen   = 43 // base64url without padding
)

var keyIDEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Key is an API key as it is listed: all but the secret.
type Key struct {
	ID        string     `json:"id"`
	App       string     `json:"app"`
	Note      string     `json:"note,omitempty"`
	Created   time.Time  `json:"created"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

// Revoked reports whether the key no longer opens anything.
func (k Key) Revoked() bool { return k.RevokedAt != nil }

// Record is a key with the hash of its secret, as the database and the bucket
// hold it.
type Record struct {
	Key
	SecretSHA256 string `json:"secret_sha256"` // hex
}

// NewKey makes a key for app. The text is for the sender and kept nowhere.
func NewKey(app, note string, now time.Time) (plain string, rec Record) {
	id, secret := newSecretKey()
	hash := hashSecret(secret)
	key := Key{ID: id, App: app, Note: note, Created: now.UTC().Truncate(time.Microsecond)}
	return keyText(id, secret), Record{Key: key, SecretSHA256: hex.EncodeToString(hash[:])}
}

// newSecretKey returns a fresh id and secret. crypto/rand does not fail: it ends
// the process where the system has no randomness.
func newSecretKey() (id, secret string) {
	var idBytes [8]byte
	var secretRaw [secretBytes]byte
	rand.Read(idBytes[:])
	rand.Read(secretRaw[:])
	return keyIDEncoding.EncodeToString(idBytes[:])[:keyIDLen], base64.RawURLEncoding.EncodeToString(secretRaw[:])
}

func keyText(id, secret string) string { return keyPrefix + id + "_" + secret }

// parseKey splits a key's text by position: the secret's alphabet has '_' too.
func parseKey(plain string) (id, secret string, err error) {
	const wantLen = len(keyPrefix) + keyIDLen + 1 + secretLen
	if len(plain) != wantLen || !strings.HasPrefix(plain, keyPrefix) || plain[len(keyPrefix)+keyIDLen] != '_' {
		return "", "", fmt.Errorf("not of the form %s<id>_<secret>", keyPrefix)
	}
	rest := plain[len(keyPrefix):]
	id, secret = rest[:keyIDLen], rest[keyIDLen+1:]
	if !validKeyID(id) {
		return "", "", fmt.Errorf("not of the form %s<id>_<secret>", keyPrefix)
	}
	return id, secret, nil
}

func validKeyID(id string) bool {
	if len(id) != keyIDLen {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

func hashSecret(secret string) digest { return sha256.Sum256([]byte(secret)) }

// sameSecret compares in constant time: hashes of equal length, every byte read.
func sameSecret(secret string, want digest) bool {
	got := hashSecret(secret)
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

func decodeHash(s string) (digest, error) {
	var d digest
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(d) {
		return d, fmt.Errorf("secret_sha256 is not a SHA-256 in hex")
	}
	copy(d[:], raw)
	return d, nil
}
